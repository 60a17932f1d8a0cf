using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using TorchBridge.Export;
using TorchBridge.Export.Tests;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>Time and memory of an export: a ResNet-50 and a ViT-B/16 at 224 x 224, and the full-size ModernCNN, with
/// and without verification, compared with one forward pass of ten pictures.</summary>
internal static class ExportSubject
{
    private const int Rounds = 3;

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-");
        try
        {
            var path = Path.Combine(folder.FullName, "model.onnx");
            using var resnet = ResNet.ResNet50(classes: 1000);
            resnet.eval();
            using var modern = new ModernCnn(new NetworkOptions());
            modern.eval();
            using var large = rand(1, 3, 224, 224);
            using var small = rand(1, 3, 32, 32);
            using var ten = rand(10, 3, 224, 224);
            var unverified = new ExportOptions { Verify = false };

            // Memory is measured first, before anything else has made the process large.
            var weights = resnet.parameters().Sum(parameter => parameter.numel() * 4) / 1e6;
            var peak = PeakMegabytes(() => OnnxExporter.Export(resnet, large, path));
            using var transformer = VisionTransformer.Base();
            transformer.eval();
            return new Measurement("export")
                .Rounds(
                    Rounds,
                    ("resnet50_seconds", () =>
                        Measurement.Seconds(() => OnnxExporter.Export(resnet, large, path, unverified))
                    ),
                    ("resnet50_verified_seconds", () =>
                        Measurement.Seconds(() => OnnxExporter.Export(resnet, large, path))
                    ),
                    ("resnet50_forward_of_ten_seconds", () => Measurement.Seconds(() => Forward(resnet, ten))),
                    ("vit_base_verified_seconds", () =>
                        Measurement.Seconds(() => OnnxExporter.Export(transformer, large, path))
                    ),
                    ("modern_cnn_seconds", () =>
                        Measurement.Seconds(() => OnnxExporter.Export(modern, small, path, unverified))
                    ),
                    ("modern_cnn_verified_seconds", () =>
                        Measurement.Seconds(() => OnnxExporter.Export(modern, small, path))
                    )
                )
                .Figure("resnet50_peak_mb", peak)
                .Figure("resnet50_weights_mb", weights)
                .Figure("resnet50_peak_in_weights", peak / weights)
                .Ratio("verified_vs_unverified", "resnet50_verified_seconds", "resnet50_seconds")
                .Ratio("export_vs_forward_of_ten", "resnet50_seconds", "resnet50_forward_of_ten_seconds");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Forward(nn.Module<Tensor, Tensor> network, Tensor input)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        network.forward(input);
    }

    /// <summary>Growth of the resident size while work runs, at its peak; sampled every 5 ms.</summary>
    private static double PeakMegabytes(Action work)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using var process = Process.GetCurrentProcess();
        var before = process.WorkingSet64;
        var peak = before;
        using var done = new ManualResetEventSlim();
        var watcher = new Thread(() =>
        {
            using var self = Process.GetCurrentProcess();
            while (!done.Wait(5))
            {
                self.Refresh();
                peak = Math.Max(peak, self.WorkingSet64);
            }
        });
        watcher.Start();
        work();
        done.Set();
        watcher.Join();
        return (peak - before) / 1e6;
    }
}

/// <summary>The export of a tiny network in BenchmarkDotNet, which measures allocations.</summary>
[MemoryDiagnoser]
public class ExportBenchmark
{
    private readonly string path = Path.Combine(Path.GetTempPath(), $"torchbridge-{Guid.NewGuid():N}.onnx");
    private ModernCnn network = null!;
    private Tensor example = null!;

    /// <summary>Creates a tiny network.</summary>
    [GlobalSetup]
    public void Setup() =>
        (network, example) = (new ModernCnn(new NetworkOptions { Channels = 8 }), rand(1, 3, 32, 32));

    /// <summary>Deletes the file.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        network.Dispose();
        example.Dispose();
        File.Delete(path);
    }

    /// <summary>Captures, lowers, folds and writes.</summary>
    [Benchmark]
    public void ExportTinyModernCnn() =>
        OnnxExporter.Export(network, example, path, new ExportOptions { Verify = false });
}
