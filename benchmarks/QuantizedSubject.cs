using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Quantization;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Benchmarks;

/// <summary>
/// int8 compared with float32: raw ONNX Runtime at batch 32; our transformer with int8 compared with stock
/// ApplyOnnxModel with float32; the size of the file; and the time and memory that quantizing takes. Full-size
/// networks, trained for two epochs on built-in pictures.
/// </summary>
internal static class QuantizedSubject
{
    private const int Rounds = 5,
        Calibration = 512;

    public static IReadOnlyDictionary<string, Func<string[], double>> Peers { get; } =
        new Dictionary<string, Func<string[], double>>(StringComparer.Ordinal)
        {
            ["quantize_seconds"] = arguments => Quantize(arguments[0]).Seconds,
            ["quantize_megabytes"] = arguments => Quantize(arguments[0]).Megabytes,
        };

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-").FullName;
        try
        {
            var (plain, plainInt8) = Train(Path.Combine(folder, "plain"), BlockForm.Plain);
            var (residual, residualInt8) = Train(Path.Combine(folder, "residual"), BlockForm.Residual);
            return new Measurement("quantized")
                .Rounds(
                    Rounds,
                    ("plain_float32_images_per_second", ScoringSubject.Ort(plain)),
                    ("plain_int8_images_per_second", ScoringSubject.Ort(plainInt8)),
                    ("residual_float32_images_per_second", ScoringSubject.Ort(residual)),
                    ("residual_int8_images_per_second", ScoringSubject.Ort(residualInt8)),
                    ("plain_transformer_int8_images_per_second", ScoringSubject.Transformer(plainInt8)),
                    ("plain_apply_onnx_float32_images_per_second", ScoringSubject.ApplyOnnx(plain))
                )
                .Rounds(
                    3,
                    warmUps: 0,
                    ("quantize_seconds", () => Peer.Run("quantize_seconds", plain)),
                    ("quantize_megabytes", () => Peer.Run("quantize_megabytes", plain))
                )
                .Figure("size", (double)new FileInfo(plainInt8).Length / new FileInfo(plain).Length)
                .Ratio("int8_vs_float32", "plain_int8_images_per_second", "plain_float32_images_per_second")
                .Ratio(
                    "int8_vs_float32_residual",
                    "residual_int8_images_per_second",
                    "residual_float32_images_per_second"
                )
                .Ratio(
                    "transformer_int8_vs_apply_onnx_float32",
                    "plain_transformer_int8_images_per_second",
                    "plain_apply_onnx_float32_images_per_second"
                )
                .Ratio("size", "size", null);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static (string Float, string Int8) Train(string path, BlockForm form)
    {
        var data = DataSource.Load(DataSource.Drawn, 32, 1, (3000, 500, 500));
        var settings = new ModelSettings(
            new NetworkOptions { Form = form },
            new Recipe { Epochs = 2 },
            ComputeOptions.Default,
            1,
            DataSource.Drawn,
            [3000, 500, 500],
            data.Data.ClassNames,
            ChannelStatistics.Of(data.Data.Training)
        );
        using var model = new TrainedModel(settings);
        new Trainer(model, new SilentObserver()).Train(data.Data);
        Directory.CreateDirectory(path);
        var folder = new ModelFolder(path);
        ModelPackager.Package(model, folder, data, Evaluation.Of(model.Classifier, data.Data.Test));
        QuantizedPackager.Package(folder, data, Calibration, 1, new QuantizationOptions());
        return (folder.Onnx, folder.MadeFrom("int8").Onnx);
    }

    /// <summary>Quantizes in this process, which has done nothing else before.</summary>
    /// <returns>Seconds, and megabytes by which the peak of the resident size exceeds the size before.</returns>
    private static (double Seconds, double Megabytes) Quantize(string path)
    {
        var pictures = DrawnPictures.Make(1, Calibration, 10, 10).Training;
        using var process = Process.GetCurrentProcess();
        var before = process.WorkingSet64;
        var output = $"{path}.again.onnx";
        var seconds = Measurement.Seconds(() =>
            OnnxQuantizer.Quantize(path, QuantizedPackager.Batches(pictures), output)
        );
        File.Delete(output);
        process.Refresh();
        return (seconds, (process.PeakWorkingSet64 - before) / 1e6);
    }
}
