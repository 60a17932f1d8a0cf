using System.Globalization;
using TorchBridge.Export;
using TorchBridge.Inference;
using TorchBridge.Onnx;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Parity;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Packaging;

/// <summary>The result of packaging.</summary>
internal sealed record PackagingResult(ExportReport Export, IReadOnlyList<ParityRow> Parity)
{
    /// <summary>Whether every way of running the model agrees with TorchSharp.</summary>
    public bool Passed => Parity.All(row => row.Passed);
}

/// <summary>Converts a trained model to an ONNX file and an ML.NET zip, verifies both, and only then moves them to
/// their destination.</summary>
internal static class ModelPackager
{
    private const int SelfCheckPictures = 16;

    /// <summary>Exports, packages and verifies. If the verification fails, no files are left behind.</summary>
    /// <param name="model">The trained model.</param>
    /// <param name="folder">Destination folder.</param>
    /// <param name="data">The data; the verification uses its test part.</param>
    /// <param name="test">TorchSharp's evaluation of the test part.</param>
    /// <param name="foldBatchNorm">Whether BatchNorm is folded into the convolutions.</param>
    /// <param name="explain">Whether every intermediate value of the network is compared too.</param>
    /// <param name="alongside">Creates the other files of the model (plots, card, report) in the folder it is
    /// given.</param>
    /// <param name="activationMap">Whether the file has the class-activation maps as a third output.</param>
    /// <param name="stop">Cancels between two steps; the previous files are then kept.</param>
    /// <exception cref="UserException">The export was refused, or the verification failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PackagingResult Package(
        TrainedModel model,
        ModelFolder folder,
        LoadedData data,
        Evaluation test,
        bool foldBatchNorm = true,
        bool explain = false,
        Action<ModelFolder, PackagingResult>? alongside = null,
        bool activationMap = false,
        CancellationToken stop = default
    )
    {
        test.RequireFinite();
        // Quantized copies belong to the model that is replaced; an older zip, report and curves are deleted too if
        // no new ones are created.
        var replaced = folder.VariantFiles.Concat(
            ((string[])[folder.Zip, folder.Report, .. folder.CurveFiles]).Select(file => Path.GetFileName(file))
        );
        return ModelFileSet.Publish(folder, replaced, staged =>
        {
            var result = new PackagingResult(
                Write(model, staged, data, test, foldBatchNorm, explain, activationMap),
                Prove(model, staged.Onnx, staged.Zip, data, test, ModelFileSet.Scratch(staged), stop)
            );
            VerifyItself(staged.Onnx);
            if (!result.Passed)
                throw new UserException(
                    "The exported files do not give the same results as the network and were deleted: "
                        + $"{Describe(result.Parity.First(row => !row.Passed))}"
                );
            stop.ThrowIfCancellationRequested();
            alongside?.Invoke(staged, result);
            return result;
        });
    }

    /// <summary>Checks that the file passes its own self-check on this machine, as it must on others.</summary>
    private static void VerifyItself(string onnx)
    {
        using var classifier = ImageClassifier.Load(onnx);
        if (classifier.Verify() is { Passed: false } failed)
            throw new UserException($"The file fails its own self-check and was deleted: {failed}");
    }

    /// <summary>
    /// Exports the model to the staging folder, and packages it for ML.NET if stock transforms read pictures in the
    /// same way.
    /// </summary>
    private static ExportReport Write(
        TrainedModel model,
        ModelFolder staged,
        LoadedData data,
        Evaluation test,
        bool foldBatchNorm,
        bool explain,
        bool activationMap
    )
    {
        try
        {
            var report = Export(model, staged.Onnx, foldBatchNorm, data.Data.Test, test, explain, activationMap);
            if (model.Settings.Reading.WithoutStockTwin is null)
                StockPipeline.Save(staged.Onnx, staged.Zip);
            return report;
        }
        catch (ExportException error)
        {
            throw new UserException($"The export was refused and no file was written: {error.Message}", error);
        }
    }

    /// <summary>Compares every way of running the model on the test pictures.</summary>
    /// <param name="model">The model; TorchSharp in eval mode is the reference.</param>
    /// <param name="onnx">The ONNX file.</param>
    /// <param name="zip">The ML.NET zip; null if stock ML.NET cannot read the model's pictures, in which case the
    /// classifier reads the files.</param>
    /// <param name="data">The data, whose test part is used.</param>
    /// <param name="test">TorchSharp's evaluation of the test part.</param>
    /// <param name="scratch">A folder for temporary files.</param>
    /// <param name="stop">Cancels between two comparisons.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<ParityRow> Prove(
        TrainedModel model,
        string onnx,
        string zip,
        LoadedData data,
        Evaluation test,
        string scratch,
        CancellationToken stop = default
    )
    {
        stop.ThrowIfCancellationRequested();
        var unfolded = Path.Combine(scratch, "unfolded.onnx");
        // It is verified below, on all test pictures.
        Export(model, unfolded, foldBatchNorm: false, data.Data.Test, test, verify: false);
        var files = WriteFiles(data, Path.Combine(scratch, "pictures"));
        Func<ParityRow>[] ways =
        [
            () => ParityCheck.Onnx("ONNX, unfolded", unfolded, data.Data.Test, test.Logits),
            () => ParityCheck.Onnx("ONNX, folded", onnx, data.Data.Test, test.Logits),
            () =>
                model.Settings.Reading.WithoutStockTwin is null
                    ? ParityCheck.Zip(
                        "ML.NET zip, from picture files",
                        zip,
                        files,
                        model.Settings.ClassNames,
                        test.Logits
                    )
                    : ParityCheck.Files("ImageClassifier, from picture files", onnx, files, test.Logits),
        ];
        return
        [
            .. ways.Select(way =>
            {
                stop.ThrowIfCancellationRequested();
                return way();
            }),
        ];
    }

    /// <summary>Formats a row for display.</summary>
    /// <param name="row">A comparison on the test pictures.</param>
    /// <returns>Name, agreement of classes, largest difference of logits and the allowed difference.</returns>
    public static string Describe(ParityRow row) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{row.Name}: agreement {row.Agree:N0} of "
                + $"{row.Count:N0}"
                + $"{(row.Ties.Count == 0 ? "" : $" ({row.Ties.Count} ties: {string.Join(", ", row.Ties.Take(10))})")}"
                + $", largest difference {Numbers.Short(row.LargestAbsolute)} (allowed "
                + $"{Numbers.Short(row.Tolerance)}), relative {Numbers.Short(row.LargestRelative)}"
        );

    /// <summary>
    /// Exports the network with its preprocessing: <c>pixels</c> [batch, 3, height, width] float32 from 0 to 255, to
    /// <c>logits</c> and <c>probabilities</c> [batch, classes].
    /// </summary>
    private static ExportReport Export(
        TrainedModel model,
        string path,
        bool foldBatchNorm,
        PictureSet data,
        Evaluation test,
        bool explain = false,
        bool activationMap = false,
        bool verify = true
    )
    {
        var network = model.Settings.Network;
        using var scope = NewDisposeScope();
        var example = randint(
            0,
            256,
            [1, 3, network.Height, network.Width],
            dtype: ScalarType.Float32,
            generator: new Generator((ulong)model.Settings.Seed)
        );
        if (activationMap)
            Explanation.ClassActivation.RequireExact(model.Network);
        nn.Module exported = activationMap ? new Explanation.ExplainingClassifier(model.Classifier) : model.Classifier;
        exported.eval();
        return OnnxExporter.Export(
            exported,
            example,
            path,
            new ExportOptions
            {
                OutputNames = activationMap
                    ? [ModelNames.Logits, ModelNames.Probabilities, ModelNames.ActivationMap]
                    : [ModelNames.Logits, ModelNames.Probabilities],
                FoldBatchNorm = foldBatchNorm,
                Verify = verify,
                Explain = explain,
                Seed = model.Settings.Seed,
                Metadata = new Dictionary<string, string>(
                    model
                        .Card.ToMetadata()
                        .Append(SelfCheckOf(data, test).ToMetadata())
                        .Concat(TrainingFacts(model, test)),
                    StringComparer.Ordinal
                ),
                LateMetadata = report =>
                    report.Parity is { } parity ? [new(MetadataKeys.Parity, Json.Text(parity.Outputs))] : [],
            }
        );
    }

    /// <summary>Some test pictures with TorchSharp's logits, with which a deployed model checks itself.</summary>
    private static SelfCheck SelfCheckOf(PictureSet pictures, Evaluation test)
    {
        var chosen = Enumerable
            .Range(0, Math.Min(SelfCheckPictures, pictures.Count))
            .Select(i => i * pictures.Count / Math.Min(SelfCheckPictures, pictures.Count))
            .ToArray();
        var classes = test.Logits.Length / pictures.Count;
        float[] logits = [.. chosen.SelectMany(i => test.Logits.AsSpan(i * classes, classes).ToArray())];
        // The tolerance is the same as for packaging: a share of the largest of all logits on the test part.
        var share = Largest(logits) > 0 ? Largest(test.Logits) / Largest(logits) : 1;
        return new SelfCheck(pictures.Select(chosen).Pixels, logits, SelfCheck.Float32Tolerance * share);
    }

    /// <summary>Largest magnitude among logits, of which tolerances are a share.</summary>
    /// <param name="logits">count x classes.</param>
    private static double Largest(float[] logits) => ArrayComparison.LargestMagnitude<float>(logits);

    /// <summary>
    /// The ONNX file's metadata about the training: settings, versions, test accuracy.
    /// </summary>
    /// <param name="model">The trained model.</param>
    /// <param name="test">Its results on the test part.</param>
    private static IEnumerable<KeyValuePair<string, string>> TrainingFacts(TrainedModel model, Evaluation test) =>
        [
            new(MetadataKeys.Settings, Json.Text(model.Settings)),
            new(MetadataKeys.Versions, Json.Text(Versions.All)),
            new(MetadataKeys.TestAccuracy, test.Accuracy.ToString("R", CultureInfo.InvariantCulture)),
            new(MetadataKeys.TestLoss, test.Loss.ToString("R", CultureInfo.InvariantCulture)),
            .. test.Views == ViewKind.None
                ? Array.Empty<KeyValuePair<string, string>>()
                : [new(MetadataKeys.Views, Naming.Of(test.Views))],
        ];

    /// <summary>The views over which an exported file averages.</summary>
    /// <param name="onnx">The file.</param>
    /// <exception cref="UserException">The file names unknown views.</exception>
    public static ViewKind ViewsOf(string onnx)
    {
        var text = OnnxReader.Read(onnx).Metadata.GetValueOrDefault(MetadataKeys.Views);
        if (text is null)
            return ViewKind.None;
        var known = Enum.GetValues<ViewKind>();
        return known.Any(kind => Naming.Of(kind) == text)
            ? known.First(kind => Naming.Of(kind) == text)
            : throw new UserException(
                $"{onnx}: {MetadataKeys.Views} is {text}; allowed is {string.Join(", ", known.Select(Naming.Of))}."
            );
    }

    /// <summary>Writes the test pictures as files, in order.</summary>
    /// <param name="data">The data, whose test part is encoded without loss.</param>
    /// <param name="folder">Folder to write to; created if missing.</param>
    /// <returns>The paths, in the order of the test part.</returns>
    public static string[] WriteFiles(LoadedData data, string folder)
    {
        Directory.CreateDirectory(folder);
        return
        [
            .. data.TestFiles()
                .Select(
                    (picture, i) =>
                    {
                        var path = Path.Combine(folder, $"{i:D6}{Path.GetExtension(picture.Name)}");
                        File.WriteAllBytes(path, picture.Bytes);
                        return path;
                    }
                ),
        ];
    }
}
