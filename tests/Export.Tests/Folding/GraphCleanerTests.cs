using TorchBridge.Export.Folding;
using TorchBridge.Onnx.Graph;
using static TorchBridge.Export.Tests.FoldingGraph;

namespace TorchBridge.Export.Tests;

public class GraphCleanerTests
{
    [Fact]
    public void An_identity_between_two_nodes_goes()
    {
        var graph = Of([2], Node("Relu", ["x"], "a"), Node("Identity", ["a"], "b"), Node("Neg", ["b"], "y"));
        GraphCleaner.Clean(graph);
        Assert.Equal("Relu, Neg", graph.Text());
        Assert.Equal(["a"], graph.Nodes[1].Inputs);
    }

    [Fact]
    public void An_output_takes_over_the_name_of_the_value_that_it_is()
    {
        var graph = Of([2], Node("Relu", ["x"], "a"), Node("Identity", ["a"], "y"), Node("Neg", ["a"], "z"));
        graph.Outputs.Add(new ValueInfo("z", ElementType.Float32, ["batch"]));
        GraphCleaner.Clean(graph);
        Assert.Equal("Relu, Neg", graph.Text());
        Assert.Equal(["y"], graph.Nodes[0].Outputs);
        Assert.Equal(["y"], graph.Nodes[1].Inputs);
    }

    [Theory]
    [InlineData("an input")]
    [InlineData("another output")]
    public void An_output_that_is_a_value_with_a_name_to_keep_stays_a_copy(string what)
    {
        var graph =
            what == "an input"
                ? Of([2], Node("Identity", ["x"], "y"))
                : Of([2], Node("Relu", ["x"], "a"), Node("Identity", ["a"], "y"));
        if (what != "an input")
            graph.Outputs.Add(new ValueInfo("a", ElementType.Float32, ["batch"]));
        var before = graph.Text();
        GraphCleaner.Clean(graph);
        Assert.Equal(before, graph.Text());
    }

    [Fact]
    public void Tensors_of_equal_type_sizes_and_bytes_are_one()
    {
        var graph = Of([2], Node("Sum", ["x", "a", "b", "c", "d", "e", "f"], "y"))
            .With("a", [1, 2], 2)
            .With("b", [1, 2], 2)
            .With("c", [1, 3], 2)
            .With("d", [1, 2], 1, 2)
            .With("f", [1, 3], 2);
        graph.Add(Initializer.Of<int>("e", ElementType.Int32, [0x3f800000, 0x40000000], 2)); // the bytes of a
        GraphCleaner.Clean(graph);
        Assert.Equal(["x", "a", "a", "c", "d", "e", "c"], graph.Nodes[0].Inputs);
        Assert.Equal(["a", "c", "d", "e"], graph.Initializers.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_no_output_depends_on_goes()
    {
        var graph = Of(
                [2],
                Node("Add", ["x", "k"], "a"),
                Node("Mul", ["a", "unread"], "dead"),
                Node("Neg", ["dead"], "deader"),
                Node("Split", ["a"], "y")
            )
            .With("k", [1], 1)
            .With("unread", [2], 1);
        // One of its two results is read.
        graph.Nodes[3].Outputs.Insert(0, "first");
        GraphCleaner.Clean(graph);
        Assert.Equal("Add, Split", graph.Text());
        Assert.Equal(["k"], graph.Initializers.Keys);
    }
}
