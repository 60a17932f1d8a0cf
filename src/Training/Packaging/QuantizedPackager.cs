using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Inference;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;
using TorchBridge.Quantization;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Packaging;

/// <summary>Quantizes an exported model with its own pictures, and packages the result like the float
/// model.</summary>
internal static class QuantizedPackager
{
    private const int BatchSize = 32;
    private const int ZipPictures = 64;

    /// <summary>
    /// Share of the largest logit by which the results of a quantized model may differ between machines. Its sums are
    /// integers and equal everywhere; only a float32 value close to the middle of two steps of 1/255 may be rounded
    /// differently. Sums that saturate are off by tens of percent.
    /// </summary>
    private const double SelfCheckTolerance = 5e-3;

    /// <summary>Quantizes, packages and checks, and only then moves the files to their destination.</summary>
    /// <param name="folder">Folder of the float model.</param>
    /// <param name="data">The data: calibration uses the training part, the validation part is held out, and the test
    /// part is used only at the end.</param>
    /// <param name="pictures">Number of training pictures for calibration.</param>
    /// <param name="draw">Seed for choosing them.</param>
    /// <param name="options">Options of the quantization.</param>
    /// <param name="alongside">Creates the other files of the model in the folder it is given.</param>
    /// <exception cref="UserException">The quantization was refused, or the files do not agree.</exception>
    public static QuantizationReport Package(
        ModelFolder folder,
        LoadedData data,
        int pictures,
        int draw,
        QuantizationOptions options,
        Action<ModelFolder, QuantizationReport>? alongside = null
    )
    {
        var target = folder.MadeFrom(VariantName(options.Mode));
        var replaced = target.SensitivityFiles.Append(target.Zip).Select(file => Path.GetFileName(file));
        try
        {
            return ModelFileSet.Publish(target, replaced, staged =>
            {
                var selfCheck = SelfCheckOf(folder.Onnx);
                var calibration = Batches(data.Data.Training.Sample(pictures, new Draw(draw, 23)));
                var report = OnnxQuantizer.Quantize(
                    folder.Onnx,
                    calibration,
                    staged.Onnx,
                    options with
                    {
                        HeldOut = Batches(data.Data.Validation),
                        Test = Batches(data.Data.Test),
                        LateMetadata = Metadata,
                    }
                ) with
                {
                    Path = target.Onnx,
                };
                if (selfCheck is not null)
                    AddSelfCheck(staged.Onnx, selfCheck);
                var hasZip = File.Exists(folder.Zip);
                if (hasZip)
                    StockPipeline.Save(staged.Onnx, staged.Zip);
                Check(staged, data);
                AtomicWrite.Text(
                    staged.Card,
                    Json.Text(
                        new
                        {
                            Model = "ModernCNN",
                            Files = new
                            {
                                Onnx = Path.GetFileName(target.Onnx),
                                Zip = hasZip ? Path.GetFileName(target.Zip) : null,
                            },
                            // The card is distributed with the model, so it must not contain local paths.
                            Quantization = report with
                            {
                                Path = Path.GetFileName(report.Path),
                            },
                            Versions = Versions.All,
                        }
                    ) + "\n"
                );
                alongside?.Invoke(staged, report);
                return report;
            });
        }
        catch (QuantizationException error)
        {
            throw new UserException($"The model was not quantized: {error.Message}", error);
        }
    }

    /// <summary>The variant name in the names of a mode's files.</summary>
    /// <param name="mode">The quantization mode.</param>
    /// <returns><c>int8</c>, <c>weights-int8</c> or <c>float16</c>: part of the files' names.</returns>
    public static string VariantName(QuantizationMode mode) =>
        mode switch
        {
            QuantizationMode.Int8 => "int8",
            QuantizationMode.WeightsInt8 => "weights-int8",
            _ => "float16",
        };

    /// <summary>Pictures in the format of the model's input: float32 [N, 3, H, W], 0 to 255.</summary>
    /// <param name="set">The pictures.</param>
    /// <returns>Lazily created batches of up to 32 pictures, with their labels.</returns>
    public static IEnumerable<QuantizationBatch> Batches(PictureSet set)
    {
        for (var start = 0; start < set.Count; start += BatchSize)
        {
            var count = Math.Min(BatchSize, set.Count - start);
            var tensor = new DenseTensor<float>([count, 3, set.Height, set.Width]);
            System.Numerics.Tensors.TensorPrimitives.ConvertTruncating<byte, float>(
                set.Planes(start, count),
                tensor.Buffer.Span
            );
            yield return new QuantizationBatch(
                [NamedOnnxValue.CreateFromTensor(ModelNames.Pixels, tensor)],
                set.Labels.AsSpan(start, count).ToArray()
            );
        }
    }

    /// <summary>The self-check pictures in an exported file; null if it has none.</summary>
    /// <param name="onnx">The float model.</param>
    /// <exception cref="UserException">The file is missing.</exception>
    private static SelfCheck? SelfCheckOf(string onnx)
    {
        if (!File.Exists(onnx))
            throw new UserException($"{onnx} does not exist. Create it with `train` or `export`.");
        using var classifier = ImageClassifier.Load(onnx);
        return classifier.SelfCheck;
    }

    /// <summary>
    /// The quantized file's metadata: its own test accuracy and its distance from the float model.
    /// </summary>
    /// <param name="report">The result with its test part.</param>
    private static IEnumerable<KeyValuePair<string, string>> Metadata(QuantizationReport report)
    {
        var test = report.Test!;
        if (test.QuantizedAccuracy is { } accuracy)
            yield return new(MetadataKeys.TestAccuracy, accuracy.ToString("R", CultureInfo.InvariantCulture));
        yield return new(MetadataKeys.QuantizationFidelity, Json.Text(test));
    }

    /// <summary>
    /// Adds the float model's self-check pictures to the file, with the logits that the quantized model computes for
    /// them on this machine: the float model's logits would hide errors as large as the quantization error.
    /// </summary>
    /// <param name="onnx">The quantized file, changed in place.</param>
    /// <param name="pictures">The float model's self-check.</param>
    internal static void AddSelfCheck(string onnx, SelfCheck pictures)
    {
        float[] logits;
        using (var classifier = ImageClassifier.Load(onnx))
            logits =
            [
                .. classifier
                    .ClassifyPlanes(
                        pictures.Planes,
                        pictures.Planes.Length / (3 * classifier.Width * classifier.Height)
                    )
                    .SelectMany(prediction => prediction.Logits),
            ];
        var graph = OnnxReader.Read(File.ReadAllBytes(onnx), onnx);
        var (key, value) = new SelfCheck(pictures.Planes, logits, SelfCheckTolerance).ToMetadata();
        graph.Metadata[key] = value;
        File.WriteAllBytes(onnx, OnnxWriter.ToBytes(graph));
    }

    /// <summary>Checks that the file passes its own self-check and that the stock zip agrees with the
    /// classifier.</summary>
    /// <param name="staged">The staging folder.</param>
    /// <param name="data">The data, whose test pictures are run through the zip.</param>
    /// <exception cref="UserException">Something disagrees; no file is then moved to its destination.</exception>
    private static void Check(ModelFolder staged, LoadedData data)
    {
        using var classifier = ImageClassifier.Load(staged.Onnx);
        if (classifier.SelfCheck is not null && classifier.Verify() is { Passed: false } failed)
            throw new UserException($"The quantized file fails its own self-check and was deleted: {failed}");
        if (!File.Exists(staged.Zip))
            return;
        var scratch = ModelFileSet.Scratch(staged);
        var files = data.TestFiles()
            .Take(ZipPictures)
            .Select(
                (picture, i) =>
                {
                    var path = Path.Combine(scratch, $"{i:D6}{Path.GetExtension(picture.Name)}");
                    File.WriteAllBytes(path, picture.Bytes);
                    return path;
                }
            )
            .ToArray();
        foreach (var (file, (label, _)) in files.Zip(StockPipeline.Score(staged.Zip, files)))
        {
            if (classifier.Classify(file).Label != label)
                throw new UserException(
                    $"The ML.NET zip classifies {Path.GetFileName(file)} as '{label}', but the ONNX file as "
                        + $"'{classifier.Classify(file).Label}'; the files were deleted."
                );
        }
    }
}
