using TorchBridge.Export.Folding;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using static TorchBridge.Export.Tests.FoldingGraph;

namespace TorchBridge.Export.Tests;

/// <summary>Folded weights and biases computed by hand, in every layout; and the reasons why nothing can be folded
/// into a layer.</summary>
public class LinearLayerTests
{
    /// <summary>Two groups: outputs 0 and 1 read the input 0, outputs 2 and 3 the input 1.</summary>
    [Fact]
    public void A_grouped_convolution_scales_by_its_own_inputs_and_outputs()
    {
        var node = Node("Conv", ["x", "w", "c"], "y", "conv", ("group", 2L));
        var graph = Of([2, 4], node).With("w", [1, 2, 3, 4, 5, 6, 7, 8], 4, 1, 2).With("c", [1, 2, 3, 4], 4);
        var layer = Read(graph, node);
        Assert.Null(layer.FoldBefore(Affine([10, 100], [1, 2])));
        Assert.Null(layer.FoldAfter(Affine([1, 2, 3, 4], [0.5, 0, 0, -1])));
        // S[o] W s[i]; S (c + sum of W t) + T.
        Check(
            layer,
            graph,
            node,
            [10, 20, 60, 80, 1500, 1800, 2800, 3200],
            [1 + 3 + 0.5, 2 * (2 + 7), 3 * (3 + 22), (4 * (4 + 30)) - 1]
        );
        Assert.Equal([true, false], layer.Steps.Select(step => step.IsBefore));
    }

    /// <summary>Two inputs a group and two places a kernel: the weight's middle axis tells the input.</summary>
    [Fact]
    public void Inputs_of_a_group_are_told_apart_by_the_middle_axis()
    {
        var node = Node("Conv", ["x", "w"], "y", "conv", ("group", 2L));
        var graph = Of([4, 4], node).With("w", [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4], 4, 2, 2);
        var layer = Read(graph, node);
        Assert.Null(layer.FoldBefore(Affine([1, 10, 100, 1000], [1, 2, 3, 4])));
        Check(
            layer,
            graph,
            node,
            [1, 1, 10, 10, 2, 2, 20, 20, 300, 300, 3000, 3000, 400, 400, 4000, 4000],
            [6, 12, 42, 56]
        );
    }

    /// <summary>[in, out / groups, kernel]: inputs 0 and 1 make output 0, inputs 2 and 3 output 1.</summary>
    [Fact]
    public void A_grouped_transposed_convolution_has_its_inputs_in_front()
    {
        var node = Node("ConvTranspose", ["x", "w"], "y", "up", ("group", 2L));
        var graph = Of([4, 4], node).With("w", [1, 2, 3, 4, 5, 6, 7, 8], 4, 1, 2);
        var layer = Read(graph, node);
        Assert.Equal(
            "up after it is a transposed convolution, whose borders sum fewer terms",
            layer.FoldBefore(Affine([1], [1, 0, 0, 0]))
        );
        Assert.Null(layer.FoldBefore(Affine([1, 2, 3, 4], [0])));
        Assert.Null(layer.FoldAfter(Affine([10, 100], [5, 6])));
        Check(layer, graph, node, [10, 20, 60, 80, 1500, 1800, 2800, 3200], [5, 6]);
    }

    [Fact]
    public void A_Gemm_keeps_its_type()
    {
        foreach (var type in (ElementType[])[ElementType.Float32, ElementType.Float64, ElementType.Float16])
        {
            var node = Gemm(["x", "w", "c"], "y");
            var graph = Of([3], node);
            graph.Add(TensorBytes.FromDoubles("w", type, [2, 3], [1, 2, 3, 4, 5, 6]));
            graph.Add(TensorBytes.FromDoubles("c", type, [2], [1, 2]));
            var layer = Read(graph, node);
            Assert.Null(layer.FoldBefore(Affine([1, 2, 4], [1, 0, -1])));
            Assert.Null(layer.FoldAfter(Affine([2], [0.5])));
            Check(layer, graph, node, [2, 8, 24, 8, 20, 48], [(2 * (1 + 1 - 3)) + 0.5, (2 * (2 + 4 - 6)) + 0.5]);
            Assert.All(node.Inputs.Skip(1), name => Assert.Equal(type, graph.Initializers[name].Type));
        }
    }

    /// <summary>The order of several operations: of those before the layer, the nearest is applied last; of those
    /// after it, the nearest is applied first.</summary>
    [Fact]
    public void Several_on_a_side_are_taken_in_their_order()
    {
        var node = Gemm(["x", "w"], "y");
        var graph = Of([1], node).With("w", [1], 1, 1);
        var layer = Read(graph, node);
        layer.FoldAfter(Affine([2], [1]));
        layer.FoldAfter(Affine([3], [5]));
        layer.FoldBefore(Affine([10], [1])); // next to the layer
        layer.FoldBefore(Affine([4], [7]));
        // x: 10 (4 x + 7) + 1 = 40 x + 71; then 3 (2 z + 1) + 5 = 6 z + 8.
        Check(layer, graph, node, [240], [(6 * 71) + 8]);
    }

    [Fact]
    public void Another_number_of_channels_is_refused()
    {
        var node = Node("Conv", ["x", "w"], "y", "conv", ("group", 2L));
        var layer = Read(Of([4, 4], node).With("w", new float[12], 6, 2, 1), node);
        Assert.Equal("conv has 6 channels, but the norm has 4", layer.FoldAfter(Affine([1, 1, 1, 1], [0])));
        Assert.Equal(
            "conv has 4 input channels, but the norm has 6",
            layer.FoldBefore(Affine([1, 1, 1, 1, 1, 1], [0]))
        );
        Assert.Empty(layer.Steps);
        var up = Node("ConvTranspose", ["x", "w"], "y", "up", ("group", 2L));
        var transposed = Read(Of([6, 4], up).With("w", new float[12], 6, 2, 1), up);
        Assert.Equal("up has 4 channels, but the norm has 6", transposed.FoldAfter(Affine([1], new double[6])));
        Assert.Equal("up has 6 input channels, but the norm has 4", transposed.FoldBefore(Affine([1], new double[4])));
    }

    [Fact]
    public void A_shift_does_not_go_through_padding_and_a_scale_does()
    {
        var node = Node("Conv", ["x", "w"], "y", "conv", ("pads", new long[] { 0, 1 }));
        var layer = Read(Of([1, 4], node).With("w", [1, 2], 1, 1, 2), node);
        Assert.Equal(
            "conv after it pads with zeros, which the norm would not have shifted",
            layer.FoldBefore(Affine([2], [1]))
        );
        Assert.Null(layer.FoldBefore(Affine([2], [0])));
        node.Attributes["pads"] = new long[] { 0, 0 };
        Assert.Null(layer.FoldBefore(Affine([2], [1])));
    }

    [Theory]
    [InlineData("computed weight", "the weight of gemm is computed in forward")]
    [InlineData("shared weight", "the layer shares its weights with other")]
    [InlineData("computed bias", "the bias of gemm is computed in forward")]
    [InlineData("integers", "the weights of gemm have type Int32")]
    [InlineData("transB", "gemm is a Gemm with scaling (alpha, beta) or a transposed operand")]
    [InlineData("transA", "gemm is a Gemm with scaling (alpha, beta) or a transposed operand")]
    [InlineData("alpha", "gemm is a Gemm with scaling (alpha, beta) or a transposed operand")]
    [InlineData("beta", "gemm is a Gemm with scaling (alpha, beta) or a transposed operand")]
    [InlineData("wide bias", "gemm is a Gemm with scaling (alpha, beta) or a transposed operand")]
    public void What_a_layer_cannot_take_is_said(string what, string reason)
    {
        var node = Gemm(["x", "w", "c"], "y");
        var graph = Of([3], node).With("w", [1, 2, 3, 4, 5, 6], 2, 3).With("c", [1, 2], 2);
        switch (what)
        {
            case "computed weight":
                graph.Initializers.Remove("w");
                break;
            case "shared weight":
                graph.Nodes.Add(Gemm(["y", "w"], "z", "other"));
                break;
            case "computed bias":
                graph.Initializers.Remove("c");
                break;
            case "integers":
                graph.Initializers["w"] = Initializer.Of<int>("w", ElementType.Int32, [1, 2, 3, 4, 5, 6], 2, 3);
                break;
            case "wide bias":
                graph.Initializers["c"] = Initializer.Of("c", [1, 2], 1, 2);
                break;
            default:
                node.Attributes[what] = what switch
                {
                    "transB" => (object)0L,
                    "transA" => 1L,
                    _ => 0.5f,
                };
                break;
        }

        Assert.Equal((null, reason), LinearLayer.Read(graph, node));
    }

    /// <summary>A bias that others read too gets another name: that of the weight.</summary>
    [Theory]
    [InlineData("fc.weight", "fc.bias", false, "fc.bias:folded")]
    [InlineData("fc.weight", "zeros", true, "fc.bias:folded")]
    [InlineData("fc.weight", null, false, "fc.bias:folded")]
    [InlineData("kernel", null, false, "kernel.bias:folded")]
    [InlineData("kernel", "offset", false, "offset:folded")]
    public void Folded_tensors_have_names_of_their_own(string weight, string? bias, bool isShared, string expected)
    {
        var node = Gemm(bias is null ? ["x", weight] : ["x", weight, bias], "y");
        var graph = Of([1], node).With(weight, [1], 1, 1);
        if (bias is not null)
            graph.With(bias, [1], 1);
        if (isShared)
            graph.Nodes.Add(Node("Neg", [bias!], "n"));
        var layer = Read(graph, node);
        Assert.Equal((weight, bias), (layer.WeightName, layer.OwnBiasName));
        Assert.Equal(($"{weight}:folded", expected), (layer.FoldedWeightName, layer.FoldedBiasName));
    }

    private static LinearLayer Read(OnnxGraph graph, OnnxNode node)
    {
        var (layer, reason) = LinearLayer.Read(graph, node);
        Assert.Null(reason);
        Assert.True(LinearLayer.Is(node));
        return layer!;
    }

    private static AffineNode Affine(double[] scale, double[] shift) =>
        new(Node("Mul", ["a", "k"], "b"), "a", new ChannelAffine(scale, shift), ["k"]);

    private static void Check(LinearLayer layer, OnnxGraph graph, OnnxNode node, double[] weight, double[] bias)
    {
        var dims = graph.Initializers["w"].Dims;
        layer.Write(graph);
        Assert.Equal(["x", "w:folded", layer.FoldedBiasName], node.Inputs);
        Assert.Equal(weight, TensorBytes.ToDoubles(graph.Initializers[node.Inputs[1]]));
        Assert.Equal(bias, TensorBytes.ToDoubles(graph.Initializers[node.Inputs[2]]));
        Assert.Equal(dims, graph.Initializers[node.Inputs[1]].Dims);
        Assert.Equal([(long)bias.Length], graph.Initializers[node.Inputs[2]].Dims);
        Assert.All(node.Inputs.Skip(1), name => Assert.Equal(name, graph.Initializers[name].Name));
    }
}
