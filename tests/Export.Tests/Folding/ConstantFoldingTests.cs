using TorchBridge.Export.Folding;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using static TorchBridge.Export.Tests.FoldingGraph;

namespace TorchBridge.Export.Tests;

public class ConstantFoldingTests
{
    [Fact]
    public void What_reads_constants_only_becomes_a_tensor()
    {
        var graph = Of([2], Node("Neg", ["k"], "n"), Node("Mul", ["n", "k"], "p"), Node("Add", ["x", "p"], "y"))
            .With("k", [2, 3], 2);
        ConstantFolding.Fold(graph);
        Assert.Equal([-4d, -9], TensorBytes.ToDoubles(graph.Initializers["p"]));
        // Only what is still read: the value between is none.
        Assert.DoesNotContain("n", graph.Initializers.Keys);
        Assert.Null(graph.Producer("p"));
        GraphCleaner.Clean(graph);
        Assert.Equal("Add", graph.Text());
    }

    [Fact]
    public void An_absent_input_is_no_value_and_every_result_is_looked_at()
    {
        var graph = Of([2], Node("Clip", ["k", "", "most"], "c"), Node("Add", ["x", "c"], "y"))
            .With("k", [2, 9], 2)
            .With("most", [5]);
        ConstantFolding.Fold(graph);
        Assert.Equal([2d, 5], TensorBytes.ToDoubles(graph.Initializers["c"]));
    }

    [Theory]
    [InlineData("random")]
    [InlineData("an output")]
    [InlineData("an input")]
    [InlineData("unknown to the runtime")]
    public void What_is_no_constant_or_cannot_be_computed_stays(string what)
    {
        var graph = Of(
                [2],
                what switch
                {
                    "random" => Node("RandomUniformLike", ["k"], "r"),
                    "unknown to the runtime" => Node("NoSuchOperator", ["k"], "r"),
                    _ => Node("Neg", [what == "an input" ? "x" : "k"], "r"),
                },
                Node("Add", ["x", "r"], "y")
            )
            .With("k", [2, 3], 2);
        if (what == "an output")
            graph.Outputs.Add(new ValueInfo("r", ElementType.Float32, [2L]));
        ConstantFolding.Fold(graph);
        Assert.DoesNotContain("r", graph.Initializers.Keys);
        Assert.Equal(["r"], graph.Nodes[0].Outputs);
    }

    /// <summary>64 KiB more than what it is made of may be stored: 16,384 numbers of 4 bytes, and the 12 bytes of the
    /// number and the shape.</summary>
    [Theory]
    [InlineData(16_387, true)]
    [InlineData(16_388, false)]
    public void A_result_that_is_much_larger_is_left_to_be_computed(long count, bool isStored)
    {
        var graph = Of([2], Node("Expand", ["k", "shape"], "wide"), Node("Add", ["x", "wide"], "y")).With("k", [2], 1);
        graph.Add(TensorBytes.Of("shape", [count]));
        ConstantFolding.Fold(graph);
        Assert.Equal(isStored, graph.Initializers.ContainsKey("wide"));
    }

    [Fact]
    public void A_graph_without_constant_nodes_stays_as_it_is()
    {
        var graph = Of([2], Node("Relu", ["x"], "y")).With("k", [1], 1);
        ConstantFolding.Fold(graph);
        Assert.Equal(("Relu", "k"), (graph.Text(), Assert.Single(graph.Initializers.Keys)));
    }
}
