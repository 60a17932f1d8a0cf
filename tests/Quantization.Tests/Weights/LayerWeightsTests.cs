using System.Runtime.InteropServices;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

/// <summary>Compares the integers of a layer with their definition: one scale per output channel, and biases at the
/// scale of the products.</summary>
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

    /// <summary>The bias compensates the shift of an output's mean that rounding causes (Nagel et al. 2019,
    /// 4.2).</summary>
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

    /// <summary>
    /// The largest weight is 127, so scales are 1 and integers the rounded weights: a quarter is lost, on one input
    /// channel. Outputs 0 and 1 read the inputs 0 and 1; outputs 2 and 3 the inputs 2 and 3.
    /// </summary>
    [Fact]
    public void Groups_read_the_means_of_their_own_inputs()
    {
        var graph = new OnnxGraph { Opset = 17 };
        float[] filter = [127, 0, 10.25f, 0]; // [input of the group, 1, 2]
        graph.Add(Initializer.Of("w", [.. filter, .. filter, .. filter, .. filter], 4, 2, 1, 2));
        graph.Add(Initializer.Of("b", [1f, 2, 3, 4], 4));
        var conv = new OnnxNode
        {
            OpType = "Conv",
            Name = "conv",
            Inputs = ["x", "w", "b"],
            Outputs = ["y"],
        };
        conv.Attributes["group"] = 2L;
        graph.Nodes.Add(conv);
        var layer = new LayerWeights(graph, conv);
        Assert.Equal((0, 4), (layer.Axis, layer.Channels));
        var (weights, bias) = layer.Quantize(0.5f, 8, [100, 8, 200, 32], "w8", "b32");
        Assert.Equal([1f, 1, 1, 1], layer.Scales);
        Assert.Equal(["w8", "b32"], (string[])[weights.Name, bias!.Name]);
        Assert.Equal([4, 2, 1, 2], weights.Dims);
        // (b + mean / 4) / (1/2)
        Assert.Equal([6, 8, 22, 24], Biases(bias));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_layer_without_a_bias_gets_one_where_the_mean_is_corrected_only(bool hasEmptyName)
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Add(Initializer.Of("w", [127f, 127, 10.25f, 0, 0, 20.25f], 3, 2)); // [in, out]
        var product = new OnnxNode
        {
            OpType = hasEmptyName ? "Gemm" : "MatMul",
            Name = "product",
            Inputs = hasEmptyName ? ["x", "w", ""] : ["x", "w"],
            Outputs = ["y"],
        };
        graph.Nodes.Add(product);
        var layer = new LayerWeights(graph, product);
        Assert.Null(layer.Quantize(0.5f, 8, null, "w8", "b32").Bias);
        Assert.Equal([4, 16], Biases(layer.Quantize(0.5f, 8, [1000, 8, 32], "w8", "b32").Bias!));
        // Beyond 32 bits it is saturated, on either side.
        Assert.Equal(
            [int.MaxValue, int.MinValue],
            Biases(layer.Quantize(0.5f, 8, [0, 1e12, -1e12], "w8", "b32").Bias!)
        );
    }

    /// <summary>Half an integer is rounded to the even one.</summary>
    [Fact]
    public void Biases_are_rounded_half_to_even_and_weights_may_be_smaller_than_they_allow()
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Add(Initializer.Of("w", [127f, 127, 127], 1, 3));
        graph.Add(Initializer.Of("b", [1.25f, 1.75f, -1.25f], 3));
        var gemm = new OnnxNode
        {
            OpType = "Gemm",
            Name = "gemm",
            Inputs = ["x", "w", "b"],
            Outputs = ["y"],
        };
        graph.Nodes.Add(gemm);
        Assert.Equal([2, 4, -2], Biases(new LayerWeights(graph, gemm).Quantize(0.5f, 8, null, "w8", "b32").Bias!));
        // Scale of the products: at least |b| / 2^30, so that the bias is 2^30 at most.
        graph.Initializers["w"] = Initializer.Of("w", [1e-20f, 1e-20f, 1e-20f], 1, 3);
        var tiny = new LayerWeights(graph, gemm);
        var biases = Biases(tiny.Quantize(0.5f, 8, null, "w8", "b32").Bias!);
        Assert.All(biases, bias => Assert.InRange(Math.Abs((double)bias), (1 << 30) - 128, (1 << 30) + 128));
        Assert.Equal(1.25f / (0.5f * (1 << 30)), tiny.Scales[0]);
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
