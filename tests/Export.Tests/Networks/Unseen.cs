using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Networks;

/// <summary>Exports a network that was not written for the exporter, and compares the file with the network's own call
/// at sizes that were never traced.</summary>
internal static class Unseen
{
    /// <summary>Some ten layers of float32 sums in another order: differences of some hundred units in the last place.</summary>
    public const double Tolerance = 5e-5;

    /// <summary>Exports and compares.</summary>
    /// <param name="model">The network.</param>
    /// <param name="call">How its author calls it; the exporter is not asked.</param>
    /// <param name="examples">What it is exported with.</param>
    /// <param name="options">Free axes and the like.</param>
    /// <param name="unseen">Inputs at other sizes.</param>
    public static ExportReport Check(
        nn.Module model,
        Func<Tensor[], IEnumerable<Tensor?>> call,
        Tensor[] examples,
        ExportOptions options,
        params Tensor[][] unseen
    )
    {
        using var folder = new TempFolder();
        var path = folder["model.onnx"];
        model.eval();
        var report = OnnxExporter.Export(model, examples, path, options);
        using var ort = new OrtModel(path, optimize: true);
        Assert.NotEmpty(unseen);
        foreach (var inputs in unseen)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            var expected = call([.. inputs.Select(input => input.clone())]).OfType<Tensor>().ToArray();
            var actual = ort.Run(inputs);
            Assert.Equal(expected.Length, actual.Length);
            foreach (var (want, got) in expected.Zip(actual))
            {
                var comparison = TensorComparer.Compare(got, want, Tolerance);
                Assert.True(
                    comparison.Difference is null,
                    $"{string.Join(" ", inputs.Select(input => $"[{string.Join(", ", input.shape)}]"))}: {comparison.Difference}"
                );
            }
        }

        return report;
    }

    /// <summary>Free axes by input.</summary>
    public static ExportOptions Free(params (string Input, int[] Axes)[] free) =>
        new() { FreeAxes = free.ToDictionary(pair => pair.Input, pair => pair.Axes) };
}
