using TorchBridge.Export.Folding;
using TorchBridge.Onnx.Graph;
using static TorchBridge.Export.Tests.FoldingGraph;

namespace TorchBridge.Export.Tests;

/// <summary>Nodes that scale and shift channels, and nodes that only look like it.</summary>
public class AffineNodeTests
{
    public static TheoryData<string, bool, double[]?, double[]?> Arithmetic =>
        new()
        {
            { "Mul", false, [2, 4], [0] },
            { "Mul", true, [2, 4], [0] },
            { "Add", false, [1], [2, 4] },
            { "Add", true, [1], [2, 4] },
            { "Sub", false, [1], [-2, -4] },
            { "Sub", true, [-1], [2, 4] },
            { "Div", false, [0.5, 0.25], [0] },
            { "Div", true, null, null }, // k / x is not affine
            { "Pow", false, null, null },
        };

    [Theory]
    [MemberData(nameof(Arithmetic))]
    public void A_constant_on_either_side_is_read(string type, bool isFirst, double[]? scale, double[]? shift)
    {
        var node = Node(type, isFirst ? ["k", "x"] : ["x", "k"], "y");
        var affine = AffineNode.Read(Of([2, 4, 4], node).With("k", [2, 4], 2, 1, 1), node);
        Assert.Equal(scale, affine?.Affine.Scale);
        Assert.Equal(shift, affine?.Affine.Shift);
        if (affine is null)
            return;
        Assert.Equal(("x", "y", false), (affine.Input, affine.Output, affine.IsBatchNorm));
        Assert.Equal(["k"], affine.Tensors);
    }

    [Fact]
    public void A_division_by_zero_is_not_folded()
    {
        var node = Node("Div", ["x", "k"], "y");
        Assert.Null(AffineNode.Read(Of([2, 4], node).With("k", [2, 0], 2, 1), node));
    }

    /// <summary>Of x [batch, 2, 4]: axis 1 is the channels'.</summary>
    [Theory]
    [InlineData(new long[] { 2, 1 }, true)]
    [InlineData(new long[] { 1, 2, 1 }, true)]
    [InlineData(new long[] { }, true)]
    [InlineData(new long[] { 1 }, true)]
    [InlineData(new long[] { 1, 1, 1 }, true)]
    [InlineData(new long[] { 1, 1, 1, 1 }, false)] // it adds an axis
    [InlineData(new long[] { 4 }, false)] // the last axis
    [InlineData(new long[] { 2, 1, 1 }, false)] // the batch
    [InlineData(new long[] { 2, 4 }, false)]
    [InlineData(new long[] { 3, 1 }, false)] // not as many as there are channels
    public void The_constant_has_one_value_per_channel_or_one_for_all(long[] dims, bool isRead)
    {
        var node = Node("Mul", ["x", "k"], "y");
        var values = new float[dims.Aggregate(1L, (product, size) => product * size)];
        Assert.Equal(isRead, AffineNode.Read(Of([2, 4], node).With("k", values, dims), node) is not null);
    }

    /// <summary>A value inside the graph: by its info, or else by its rank alone.</summary>
    [Theory]
    [InlineData("info", true)]
    [InlineData("rank", false)]
    [InlineData("nothing", false)]
    public void Several_values_need_channels_that_are_known(string known, bool isRead)
    {
        var node = Node("Mul", ["inner", "k"], "y");
        var graph = Of([2, 4], node).With("k", [2, 4], 2, 1).With("one", [3]);
        if (known == "info")
            graph.Infos["inner"] = new ValueInfo("inner", ElementType.Float32, ["batch", 2L, 4L]);
        if (known == "rank")
            graph.Ranks["inner"] = (ElementType.Float32, 3);
        Assert.Equal(isRead, AffineNode.Read(graph, node) is not null);
        // One value for all needs the rank only.
        node.Inputs[1] = "one";
        Assert.Equal(known != "nothing", AffineNode.Read(graph, node) is not null);
        graph.Ranks["inner"] = (ElementType.Float32, 1);
        Assert.Equal(known == "info", AffineNode.Read(graph, node) is not null);
    }

    [Theory]
    [InlineData("two constants")]
    [InlineData("no constant")]
    [InlineData("integers")]
    [InlineData("free channels")]
    public void What_is_no_float_constant_on_a_value_is_not_read(string what)
    {
        var node = Node("Mul", ["x", "k"], "y");
        var graph = Of([2, 4], node).With("k", [2, 4], 2, 1);
        switch (what)
        {
            case "two constants":
                graph.With("x", [1, 1], 2, 1);
                break;
            case "no constant":
                graph.Initializers.Remove("k");
                break;
            case "integers":
                graph.Initializers["k"] = Initializer.Of<long>("k", ElementType.Int64, [2, 4], 2, 1);
                break;
            default:
                graph.Inputs[0] = graph.Inputs[0] with { Dims = ["batch", "channels", 4L] };
                break;
        }

        Assert.Null(AffineNode.Read(graph, node));
    }

    [Fact]
    public void A_norm_is_read_where_its_four_tensors_are_floats_of_the_file()
    {
        var node = Norm("x", "y");
        var graph = Of([2, 4], node).WithNorm();
        var norm = AffineNode.Read(graph, node)!;
        Assert.True(norm.IsBatchNorm);
        Assert.Equal([3d, 1], norm.Affine.Scale);
        Assert.Equal([2d, -2], norm.Affine.Shift);
        Assert.Equal(["gamma", "beta", "mean", "variance"], norm.Tensors);
        Assert.Equal("x", norm.Input);
        // Without the attribute it is ONNX's own 1e-5.
        node.Attributes.Remove("epsilon");
        Assert.Equal(6 / Math.Sqrt(3 + (double)1e-5f), AffineNode.Read(graph, node)!.Affine.Scale[0], 12);
        foreach (var type in (ElementType[])[ElementType.Int32, ElementType.Float64])
        {
            graph.Initializers["mean"] =
                type == ElementType.Int32
                    ? Initializer.Of<int>("mean", type, [1, 2], 2)
                    : Initializer.Of<double>("mean", type, [1, 2], 2);
            Assert.Equal(type == ElementType.Float64, AffineNode.Read(graph, node) is not null);
        }

        graph.Initializers.Remove("variance");
        Assert.Null(AffineNode.Read(graph, node));
    }
}
