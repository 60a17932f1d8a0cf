using TorchBridge.Export.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Tests.Lowering;

public class KernelsTests
{
    /// <summary>Beyond 65,504 there is no float16: TorchSharp makes the integer infinite before it computes in
    /// float32.</summary>
    [Fact]
    public void Integers_take_the_results_dtype_before_they_are_widened()
    {
        using var scope = NewDisposeScope();
        // -100,000 + 2 x 300 x 300 is 80,000, and -infinity + 180,000 is not.
        Tensor[] inputs =
        [
            tensor(new long[] { 100_000, -100_000, 3 }).reshape(1, 3),
            full([1, 3], 300, dtype: float16),
        ];
        using var folder = new TempFolder();
        using var module = new Function2((whole, half) => whole.addcmul(half, half, 2));
        OnnxExporter.Export(module, inputs, folder["m.onnx"]);
        using var file = new OrtModel(folder["m.onnx"], optimize: true);
        var actual = file.Run(inputs)[0];
        Assert.Equal(Functions.Forward(module, inputs)[0].bytes.ToArray(), actual.bytes.ToArray());
        Assert.Equal(float.NegativeInfinity, actual[0, 1].ToSingle());
    }

    /// <summary>The least number that the logarithm sees, as TorchSharp's own call has it.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void The_logarithm_of_zero_in_poisson_nll_loss_is_TorchSharps(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var module = new Function2(
            (x, t) => nn.functional.poisson_nll_loss(x, t, log_input: false, reduction: nn.Reduction.None)
        );
        Tensor[] inputs =
        [
            tensor(
                    new[,]
                    {
                        { 0.0, 1e-300, 2 },
                    }
                )
                .to(type),
            full([1, 3], 2, dtype: type),
        ];
        OnnxExporter.Export(module, inputs, folder["m.onnx"]);
        using var file = new OrtModel(folder["m.onnx"], optimize: true);
        var (actual, expected) = (file.Run(inputs)[0], Functions.Forward(module, inputs)[0]);
        Assert.True(allclose(actual, expected, 1e-6, 1e-6), $"{actual.str()} {expected.str()}");
    }

    [Fact]
    public void A_distance_that_counts_differences_is_NaN_where_one_is()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var module = new Function2((a, b) => cdist(a, b, 0));
        Tensor[] inputs =
        [
            tensor(
                new[,,]
                {
                    {
                        { 1f, 2 },
                        { float.NaN, 0 },
                    },
                }
            ),
            zeros(1, 3, 2),
        ];
        OnnxExporter.Export(module, inputs, folder["m.onnx"]);
        using var file = new OrtModel(folder["m.onnx"], optimize: true);
        var (actual, expected) = (file.Run(inputs)[0], Functions.Forward(module, inputs)[0]);
        Assert.Equal([2, 2, 2, float.NaN, float.NaN, float.NaN], expected.data<float>());
        Assert.Equal(expected.data<float>(), actual.data<float>());
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void The_largest_difference_of_two_rows_is_one_that_is_a_number(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var module = new Function2((a, b) => cdist(a, b, double.PositiveInfinity));
        const float nan = float.NaN,
            infinity = float.PositiveInfinity;
        Tensor[] inputs =
        [
            tensor(
                    new[,,]
                    {
                        {
                            { nan, 3, -5 },
                            { nan, nan, nan },
                            { 1, nan, infinity },
                            { -7, 2, nan },
                        },
                    }
                )
                .to(type),
            zeros(1, 2, 3, type),
        ];
        OnnxExporter.Export(module, inputs, folder["m.onnx"]);
        using var file = new OrtModel(folder["m.onnx"], optimize: true);
        var (actual, expected) = (file.Run(inputs)[0], Functions.Forward(module, inputs)[0]);
        double[] right = [5, 5, 0, 0, infinity, infinity, 7, 7];
        Assert.Equal(right, expected.to(ScalarType.Float64).data<double>());
        Assert.Equal(right, actual.to(ScalarType.Float64).data<double>());
    }

    /// <summary>TorchSharp cannot tell the last axis from none where it is called -1.</summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(-2)]
    [InlineData(2)]
    [InlineData(null)]
    public void Aminmax_reduces_what_TorchSharp_reduces(int? axis)
    {
        using var scope = NewDisposeScope();
        using var module = new FunctionMany(x => [x.aminmax(axis).min, x.aminmax(axis, keepdim: true).max]);
        Exported.Check(module, [randn(2, 3, 4)]);
    }

    [Fact]
    public void The_norm_of_a_matrix_without_rows_is_zero()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        using var module = new Function(x => linalg.matrix_norm(x, double.PositiveInfinity));
        OnnxExporter.Export(module, rand(2, 4), folder["m.onnx"]);
        using var file = new OrtModel(folder["m.onnx"], optimize: true);
        Tensor[] none = [empty(0, 4)];
        Assert.Equal(0, Functions.Forward(module, none)[0].item<float>());
        Assert.Equal(0, file.Run(none)[0].item<float>());
    }
}
