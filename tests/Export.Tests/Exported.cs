using TorchBridge.Export.Capture;
using TorchBridge.Export.Onnx;
using TorchBridge.Export.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests;

/// <summary>Exports a module, and compares ONNX Runtime with TorchSharp on fresh random inputs at sizes that were
/// never traced.</summary>
internal static class Exported
{
    /// <summary>
    /// Share of the largest value by which float32 results may differ: both sum the same products in another order,
    /// which shows as some hundred units in the last place (6e-8 each) in the operations tested here.
    /// </summary>
    public const double Tolerance = 2e-5;

    /// <summary>Exports and compares at batch sizes 1, 2 and 5 (axis 0 of the inputs that share it).</summary>
    public static ExportReport Check(
        nn.Module module,
        Tensor[] examples,
        ExportOptions? options = null,
        double tolerance = Tolerance,
        Func<long, long[][]>? shapes = null
    )
    {
        using var folder = new TempFolder();
        var path = folder["model.onnx"];
        module.eval();
        var report = OnnxExporter.Export(module, examples, path, options);
        using var ort = new OrtModel(path, optimize: true);
        var random = new Random(91);
        var batchIsFree = report.FreeAxes.Any(axis => axis.EndsWith("= batch", StringComparison.Ordinal));
        foreach (var batch in shapes is null && !batchIsFree ? new long[] { 0 } : [1, 2, 5])
        {
            using var scope = NewDisposeScope();
            var batchShapes = shapes?.Invoke(batch)
                ??
                [
                    .. examples.Select(example =>
                        example
                            .shape.Select(
                                (size, axis) => axis == 0 && size == examples[0].shape[0] && batch > 0 ? batch : size
                            )
                            .ToArray()
                    ),
                ];
            var inputs = examples.Select((example, i) => InputMaker.Like(example, batchShapes[i], random)).ToArray();
            var expected = Functions.Forward(module, inputs);
            var actual = ort.Run([.. inputs.Take(ort.InputNames.Count)]);
            Assert.Equal(expected.Length, actual.Length);
            for (var i = 0; i < expected.Length; i++)
            {
                var largest =
                    expected[i].numel() == 0 || !is_floating_point(expected[i])
                        ? 0
                        : expected[i].to(ScalarType.Float64).nan_to_num(0, 0, 0).abs().max().ToDouble();
                var comparison = TensorComparer.Compare(actual[i], expected[i], Math.Max(1e-6, tolerance * largest));
                Assert.True(comparison.Difference is null, $"batch {batch}, output {i}: {comparison.Difference}");
            }
        }

        return report;
    }

    /// <summary>Exports a function of one tensor.</summary>
    public static ExportReport Check(Func<Tensor, Tensor> function, Tensor example, ExportOptions? options = null) =>
        Check(new Function(function), [example], options);
}
