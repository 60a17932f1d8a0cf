using TorchBridge.Export;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Quantization.Tests;

/// <summary>A program that references only TorchBridge.Quantization: samples/QuantizeOnnx.</summary>
public class WithoutTorchTests
{
    private static readonly string Output = Run.OutputOf("samples", "QuantizeOnnx");

    [Fact]
    public void There_is_no_libtorch_in_its_folder_and_no_ML_NET()
    {
        var files = Directory
            .EnumerateFiles(Output, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetFileName(file)!)
            .ToArray();
        Assert.Contains("TorchBridge.Quantization.dll", files);
        Assert.DoesNotContain(files, IsForeign);
        // And the check would see one: this test's own folder has it.
        Assert.Contains(
            Directory.EnumerateFiles(AppContext.BaseDirectory).Select(file => Path.GetFileName(file)!),
            IsForeign
        );
    }

    [Fact]
    public void It_quantizes_a_model()
    {
        using var folder = new TempFolder();
        random.manual_seed(30);
        using var network = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding: 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 8 * 8, 4)
        );
        using var example = rand(1, 3, 8, 8);
        OnnxExporter.Export(network, example, folder["model.onnx"]);
        using (var stream = File.Create(folder["inputs.bin"]))
        {
            using var inputs = rand(64, 3, 8, 8);
            stream.Write(inputs.bytes);
        }

        var result = Run.Program(
            Path.Combine(Output, "QuantizeOnnx.dll"),
            [folder["model.onnx"], folder["inputs.bin"], folder["int8.onnx"]]
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("MeanSquareError ranges over 64 rows", result.Output, StringComparison.Ordinal);
        Assert.InRange(new FileInfo(folder["int8.onnx"]).Length, 1, new FileInfo(folder["model.onnx"]).Length / 2);
    }

    private static bool IsForeign(string file) =>
        file.Contains("torch_cpu", StringComparison.OrdinalIgnoreCase)
        || file.Contains("TorchSharp", StringComparison.OrdinalIgnoreCase)
        || file.StartsWith("Microsoft.ML.", StringComparison.Ordinal)
            && !file.StartsWith("Microsoft.ML.OnnxRuntime", StringComparison.Ordinal);
}
