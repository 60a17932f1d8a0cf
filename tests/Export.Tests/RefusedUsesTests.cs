using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Export.Tests;

/// <summary>Uses of known operations, and of the exporter itself, that are refused: each message names the wrong
/// value and says what to do.</summary>
public class RefusedUsesTests
{
    private static readonly ExportOptions Defaults = new();

    private static readonly Dictionary<string, (Action<string> Export, string[] Fragments)> Uses = new(
        StringComparer.Ordinal
    )
    {
        // the exporter's own arguments
        ["an opset"] = Use(x => x, new ExportOptions { Opset = 22 }, "Opset is 22", "17 to 21"),
        ["too many input names"] = Use(x => x, new ExportOptions { InputNames = ["a", "b"] }, "2 names", "1 examples"),
        ["too many output names"] = Use(
            x => x + 1,
            new ExportOptions { OutputNames = ["a", "b"] },
            "2 names",
            "returns 1"
        ),
        ["an output named like the input"] = Use(
            x => x + 1,
            new ExportOptions { OutputNames = ["input"] },
            "'input'",
            "has that name already"
        ),
        ["a free axis of an unknown input"] = Use(
            x => x + 1,
            new ExportOptions { FreeAxes = { ["y"] = [0] } },
            "'y'",
            "The inputs are input"
        ),
        ["the name of a fixed axis"] = Use(
            x => x + 1,
            new ExportOptions { AxisNames = { [("input", 1)] = "width" } },
            "axis 1 of 'input'",
            "Add it to ExportOptions.FreeAxes"
        ),
        ["a further example of other tensors"] = Use(
            x => x + 1,
            new ExportOptions
            {
                MoreExamples =
                [
                    [ones(2, 4), ones(2, 4)],
                ],
            },
            "2 tensors",
            "the first example has 1"
        ),
        ["a further example of another rank"] = Use(
            x => x + 1,
            new ExportOptions
            {
                MoreExamples =
                [
                    [ones(2, 4, 3)],
                ],
            },
            "[2, 4, 3]",
            "[2, 4]"
        ),
        ["an argument that forward has not"] = Use(
            x => x + 1,
            new ExportOptions { Arguments = { ["mode"] = 3 } },
            "'mode'",
            "forward("
        ),
        ["an example that is disposed"] = (
            path =>
            {
                var example = ones(2, 4);
                example.Dispose();
                OnnxExporter.Export(new Function(x => x + 1), example, path);
            },
            ["example 1", "disposed"]
        ),
        ["no examples"] = (
            path => OnnxExporter.Export(new Function(x => x), [], path),
            ["no example inputs", "forward("]
        ),
        ["two examples for one argument"] = (
            path => OnnxExporter.Export(new Function(x => x), [ones(1), ones(1)], path),
            ["forward(", "2"]
        ),

        // what forward does
        ["a null module"] = Use(x => ((nn.Module<Tensor, Tensor>)null!).call(x), Defaults, "called on a null module"),
        ["a delegate of two methods"] = Use(Twice, Defaults, "a multicast delegate"),
        ["outputs that depend on a size"] = (
            path => OnnxExporter.Export(new FunctionMany(x => x.size(0) > 2 ? [x] : [x, x + 1]), [ones(2, 4)], path),
            ["at another size", "FreeAxes"]
        ),
        ["no output"] = (
            path => OnnxExporter.Export(new FunctionMany(_ => []), [ones(2, 4)], path),
            ["returns no tensor"]
        ),

        // numbers and dtypes
        ["bitwise operations below opset 18"] = Use(
            x => x.to(ScalarType.Int64).bitwise_and(tensor(3L)),
            Defaults,
            "need opset 18",
            "Set it to 18"
        ),
        ["linspace of integers"] = Use(
            x => x + linspace(0, 9, 4, ScalarType.Int64),
            Defaults,
            "no defined rounding",
            "cast"
        ),
        ["float64 without a kernel"] = Use(
            x => F.conv1d(x.to(ScalarType.Float64).unsqueeze(0), ones(1, 2, 1, dtype: ScalarType.Float64)),
            new ExportOptions { FreeAxes = { ["input"] = [] } },
            "Float64",
            "float32"
        ),

        // axes that may not be free
        ["group_norm of free channels"] = Free(
            x => F.batch_norm(x, zeros(4), ones(4)),
            [2, 4, 5],
            [0, 1],
            "ExportOptions.FreeAxes"
        ),
        ["a halved axis"] = Free(x => F.glu(x, 1), [2, 4], [1], "FreeAxes"),
        ["shuffled channels"] = Free(
            x => nn.ChannelShuffle(2).call(x),
            [2, 4, 5, 6],
            [1],
            "the channel axis",
            "FreeAxes"
        ),
        ["unfold of free channels"] = Free(
            x => F.unfold(x, (2L, 2L)),
            [2, 4, 5, 6],
            [1],
            "the channel axis",
            "FreeAxes"
        ),
        ["attention over free features"] = Free(
            x => F.scaled_dot_product_attention(x, x, x),
            [2, 4, 6],
            [2],
            "the feature axis",
            "FreeAxes"
        ),

        // options
        ["attention that drops out"] = Use(
            x => F.scaled_dot_product_attention(x, x, x, p: 0.5),
            Defaults,
            "would apply dropout",
            "p: 0"
        ),
        ["a convolution without a batch axis"] = (
            path => OnnxExporter.Export(nn.Conv2d(3, 4, 3), ones(3, 8, 8), path, Fixed("input")),
            ["no batch axis", "unsqueeze(0)"]
        ),
        ["a nuclear norm"] = Use(x => linalg.matrix_norm(x, "nuc", [-2, -1]), Defaults, "'nuc'", "singular values"),
        ["a norm of order 2 of matrices"] = Use(x => linalg.matrix_norm(x, 2), Defaults, "order 2", "'fro'"),
        ["repeats is a tensor"] = Use(
            x => x.repeat_interleave(tensor([1L, 2L]), 0, 3),
            Fixed("input"),
            "depend on the data",
            "Pass a single number"
        ),
    };

    public static TheoryData<string> Names => [.. Uses.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Says_what_is_wrong_and_what_to_do(string use)
    {
        using var folder = new TempFolder();
        var (export, fragments) = Uses[use];
        var error = Assert.Throws<ExportException>(() => export(folder["model.onnx"]));
        foreach (var fragment in fragments)
            Assert.Contains(fragment, error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Files);
    }

    private static (Action<string>, string[]) Use(
        Func<Tensor, Tensor> forward,
        ExportOptions options,
        params string[] fragments
    ) => (path => OnnxExporter.Export(new Function(forward), randn(2, 4), path, options), fragments);

    private static (Action<string>, string[]) Free(
        Func<Tensor, Tensor> forward,
        long[] shape,
        int[] axes,
        params string[] fragments
    ) =>
        (
            path =>
                OnnxExporter.Export(
                    new Function(forward),
                    randn(shape),
                    path,
                    new ExportOptions { FreeAxes = { ["input"] = axes } }
                ),
            fragments
        );

    private static ExportOptions Fixed(string input) => new() { FreeAxes = { [input] = [] } };

    private static Tensor Twice(Tensor x)
    {
        Func<Tensor, Tensor> both = one => one + 1;
        both += one => one * 2;
        return both(x);
    }
}
