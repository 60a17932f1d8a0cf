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

/// <summary>Quantizes an exported model over its own pictures, and packages the result as the float model
/// was.</summary>
internal static class QuantizedPackager
{
    private const int BatchSize = 32;
    private const int ZipPictures = 64;

    /// <summary>
    /// Share of the largest logit by which a quantized model may differ from itself on another machine. Its sums are
    /// integers and equal everywhere; what may differ is a float32 value that lies between two steps of 1/255 and is
    /// rounded the other way. Sums that saturate are off by tens of per cent.
    /// </summary>
    private const double SelfCheckTolerance = 5e-3;

    /// <summary>Quantizes, packages, checks, and only then puts the files where they belong.</summary>
    /// <param name="folder">Where the float model is.</param>
    /// <param name="data">Calibration draws from the training part; the validation part is held out; the test part is
    /// read at the end.</param>
    /// <param name="pictures">Training pictures to calibrate on.</param>
    /// <param name="draw">Decides which.</param>
    /// <param name="options">How.</param>
    /// <param name="alongside">Makes what else belongs to the model in the folder that it is given.</param>
    /// <exception cref="UserException">It was refused, or the files do not agree.</exception>
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
                            // A card goes with its model: where that was made is nobody's business.
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
            throw new UserException($"Not quantized: {error.Message}", error);
        }
    }

    /// <summary>What a mode's files are called.</summary>
    /// <param name="mode">What is stored in fewer bits.</param>
    /// <returns><c>int8</c>, <c>weights-int8</c> or <c>float16</c>: part of the files' names.</returns>
    public static string VariantName(QuantizationMode mode) =>
        mode switch
        {
            QuantizationMode.Int8 => "int8",
            QuantizationMode.WeightsInt8 => "weights-int8",
            _ => "float16",
        };

    /// <summary>Pictures as the model's one input takes them: float32 [N, 3, H, W], 0 to 255.</summary>
    /// <param name="set">The pictures, in their order.</param>
    /// <returns>Batches of 32 and a rest, each made when it is asked for, with the pictures' labels.</returns>
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

    /// <summary>The self-check pictures in an exported file; null where it carries none.</summary>
    /// <param name="onnx">The float model.</param>
    /// <exception cref="UserException">The file is missing.</exception>
    private static SelfCheck? SelfCheckOf(string onnx)
    {
        if (!File.Exists(onnx))
            throw new UserException($"{onnx} is not there. `train` or `export` makes it.");
        using var classifier = ImageClassifier.Load(onnx);
        return classifier.SelfCheck;
    }

    /// <summary>
    /// What the quantized file's metadata says: its own test accuracy and how far it is from the float model.
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
    /// Puts the float model's pictures into the file, with the logits that the quantized model gives for them here:
    /// the float model's would hide an error as large as the quantization's.
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

    /// <summary>The file passes its own self-check, and the stock zip says what the classifier says.</summary>
    /// <param name="staged">The folder in which the files were made.</param>
    /// <param name="data">Its test pictures go through the zip.</param>
    /// <exception cref="UserException">Something disagrees; nothing is then put in place.</exception>
    private static void Check(ModelFolder staged, LoadedData data)
    {
        using var classifier = ImageClassifier.Load(staged.Onnx);
        if (classifier.SelfCheck is not null && classifier.Verify() is { Passed: false } failed)
            throw new UserException($"The quantized file fails its own self-check, and is not left behind: {failed}");
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
                    $"The ML.NET zip calls {Path.GetFileName(file)} '{label}', the ONNX file "
                        + $"'{classifier.Classify(file).Label}'; the files are not left behind."
                );
        }
    }
}
