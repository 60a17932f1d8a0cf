using System.Text.Json;
using TorchBridge.Inference;
using TorchBridge.Quantization;
using TorchBridge.Testing;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Benchmarks;

/// <summary>
/// What int8 costs in accuracy, for each calibration method: the model in models/, trained on CIFAR-10 (JPEG);
/// calibrated with three random selections of 512 training pictures; evaluated on all 10,000 test pictures.
/// </summary>
internal static class CalibrationSubject
{
    private const int Draws = 3,
        Calibration = 512,
        HeldOut = 64,
        Batch = 250;

    public static Measurement Run()
    {
        var model = Path.Combine(Shared.Repository, "models", "modern-cnn.onnx");
        var cifar = Shared.Find("data", "cifar10-jpeg.tar.gz");
        if (!File.Exists(model) || cifar is null)
            throw new FileNotFoundException(
                $"this subject needs ../shared/data/cifar10-jpeg.tar.gz, and {model} trained on it with "
                    + "`train --data ../shared/data/cifar10-jpeg.tar.gz --recipe fast`"
            );
        var data = DataSource.Load(cifar, 32, 1).Data;
        var reference = Classes(model, data.Test);
        var floatAccuracy = Share(reference, data.Test.Labels);
        var measurement = new Measurement("calibration").Figure("float32_accuracy_percent", 100 * floatAccuracy);
        foreach (var method in Enum.GetValues<CalibrationMethod>())
        {
            double[] drops = new double[Draws],
                agreements = new double[Draws];
            for (var draw = 0; draw < Draws; draw++)
            {
                var path = Path.Combine(Path.GetTempPath(), $"torchbridge-{Guid.NewGuid():N}.onnx");
                var chosen = data.Training.Sample(Calibration, new Draw(draw + 1, 23));
                OnnxQuantizer.Quantize(
                    model,
                    QuantizedPackager.Batches(chosen),
                    path,
                    new QuantizationOptions
                    {
                        Method = method,
                        FallBack = false,
                        HeldOut = QuantizedPackager.Batches(data.Validation.Select([.. Enumerable.Range(0, HeldOut)])),
                    }
                );
                var classes = Classes(path, data.Test);
                File.Delete(path);
                (drops[draw], agreements[draw]) = (
                    100 * (floatAccuracy - Share(classes, data.Test.Labels)),
                    100 * Share(classes, reference)
                );
            }

            var name = JsonNamingPolicy.SnakeCaseLower.ConvertName(method.ToString());
            measurement.Figure($"{name}_points_lost", drops).Figure($"{name}_agreement_percent", agreements);
        }

        return measurement;
    }

    private static int[] Classes(string path, PictureSet pictures)
    {
        using var classifier = ImageClassifier.Load(path);
        var names = classifier
            .ClassNames.Select((name, i) => (name, i))
            .ToDictionary(pair => pair.name, pair => pair.i, StringComparer.Ordinal);
        return
        [
            .. Enumerable
                .Range(0, pictures.Count)
                .Chunk(Batch)
                .SelectMany(part => classifier.ClassifyPlanes(pictures.Planes(part[0], part.Length), part.Length))
                .Select(prediction => names[prediction.Label]),
        ];
    }

    private static double Share(int[] classes, int[] expected) =>
        classes.Zip(expected).Count(pair => pair.First == pair.Second) / (double)classes.Length;
}
