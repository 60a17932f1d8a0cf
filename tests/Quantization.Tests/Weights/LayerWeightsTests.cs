using System.Runtime.InteropServices;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

/// <summary>A layer's integers by their definition: scales of output channels, biases at the scale of products.</summary>
public class LayerWeightsTests
{
    [Theory]
    [InlineData(0L, 1)] // w [in, out]
    [InlineData(1L, 0)] // w [out, in]
    public void Output_channels_lie_along_the_axis_of_the_layer(long transposed, int axis)
    {
        var weights = new LayerWeights(Model(transposed), Gemm(transposed));
        Assert.Equal((axis, 2), (weights.Axis, weights.Channels));
        var (tensor, bias) = weights.Quantize(0.5f, 8, null, "w8", "b32");
        Assert.Equal(ElementType.Int8, tensor.Type);
        // Of [[1, 2], [3, 4]] rows or columns are channels: their largest number becomes 127.
        var largest = axis == 0 ? (2f, 4f) : (3f, 4f);
        Assert.Equal([largest.Item1 / 127, largest.Item2 / 127], weights.Scales);
        Assert.Equal(
            [.. new[] { 10f, -20f }.Zip(weights.Scales, (b, scale) => (int)Math.Round(b / (0.5 * scale)))],
            MemoryMarshal.Cast<byte, int>(bias!.Data.Span).ToArray()
        );
    }

    [Fact]
    public void Seven_bits_leave_half_of_the_range()
    {
        var weights = new LayerWeights(Model(1), Gemm(1));
        var (tensor, _) = weights.Quantize(1, 7, null, "w8", "b32");
        Assert.Equal(63, MemoryMarshal.Cast<byte, sbyte>(tensor.Data.Span).ToArray().Max());
    }

    /// <summary>What rounding takes from the mean of an output, the bias gives back (Nagel et al. 2019, 4.2).</summary>
    [Fact]
    public void The_bias_takes_up_the_mean_error_of_rounding()
    {
        var plain = new LayerWeights(Model(1), Gemm(1));
        var corrected = new LayerWeights(Model(1), Gemm(1));
        double[] means = [1000, -1000];
        var before = Biases(plain.Quantize(0.001f, 8, null, "w8", "b32").Bias!);
        var (tensor, bias) = corrected.Quantize(0.001f, 8, means, "w8", "b32");
        var integers = MemoryMarshal.Cast<byte, sbyte>(tensor.Data.Span).ToArray();
        float[] real = [1, 2, 3, 4];
        for (var channel = 0; channel < 2; channel++)
        {
            var scale = corrected.Scales[channel];
            double Lost(int input) => real[(2 * channel) + input] - (integers[(2 * channel) + input] * (double)scale);
            var expected = ((Lost(0) * means[0]) + (Lost(1) * means[1])) / (0.001f * (double)scale);
            Assert.Equal(expected, Biases(bias!)[channel] - before[channel], 1.0);
        }
    }

    private static int[] Biases(Initializer bias) => MemoryMarshal.Cast<byte, int>(bias.Data.Span).ToArray();

    private static OnnxNode Gemm(long transposed)
    {
        var node = new OnnxNode
        {
            OpType = "Gemm",
            Name = "gemm",
            Inputs = ["x", "w", "b"],
            Outputs = ["y"],
        };
        node.Attributes["transB"] = transposed;
        return node;
    }

    private static OnnxGraph Model(long transposed)
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Nodes.Add(Gemm(transposed));
        graph.Add(Initializer.Of("w", [1f, 2, 3, 4], 2, 2));
        graph.Add(Initializer.Of("b", [10f, -20], 2));
        return graph;
    }
}
