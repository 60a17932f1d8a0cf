using BenchmarkDotNet.Attributes;
using TorchBridge.Export;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Benchmarks;

/// <summary>How long an export takes: the full-size ModernCNN, with and without verification, beside one forward pass of ten pictures.</summary>
internal static class ExportSubject
{
    private const int Rounds = 5;

    public static Measurement Run()
    {
        using var network = new ModernCnn(new NetworkOptions());
        network.eval();
        var folder = Directory.CreateTempSubdirectory("torchbridge-bench-");
        try
        {
            var path = Path.Combine(folder.FullName, "model.onnx");
            using var example = rand(1, 3, 32, 32);
            using var ten = rand(10, 3, 32, 32);
            return new Measurement("export")
                .Rounds(
                    Rounds,
                    ("modern_cnn_seconds", () => Measurement.Seconds(() => OnnxExporter.Export(network, example, path, new ExportOptions { Verify = false }))),
                    ("modern_cnn_verified_seconds", () => Measurement.Seconds(() => OnnxExporter.Export(network, example, path))),
                    ("forward_of_ten_seconds", () => Measurement.Seconds(() => Forward(network, ten))))
                .Ratio("verified_vs_unverified", "modern_cnn_verified_seconds", "modern_cnn_seconds")
                .Ratio("export_vs_forward_of_ten", "modern_cnn_seconds", "forward_of_ten_seconds");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Forward(ModernCnn network, Tensor input)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        network.forward(input);
    }
}

/// <summary>The same in BenchmarkDotNet, for allocations.</summary>
[MemoryDiagnoser]
public class ExportBenchmark
{
    private readonly string path = Path.Combine(Path.GetTempPath(), $"torchbridge-{Guid.NewGuid():N}.onnx");
    private ModernCnn network = null!;
    private Tensor example = null!;

    /// <summary>Makes a tiny network.</summary>
    [GlobalSetup]
    public void Setup() => (network, example) = (new ModernCnn(new NetworkOptions { Channels = 8 }), rand(1, 3, 32, 32));

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
    public void ExportTinyModernCnn() => OnnxExporter.Export(network, example, path, new ExportOptions { Verify = false });
}
