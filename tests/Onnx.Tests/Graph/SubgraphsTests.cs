using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Graph;

/// <summary>What a graph inside a node takes from outside, two levels deep.</summary>
public class SubgraphsTests
{
    private static readonly GraphProto Inner = Graph(
        new NodeProto
        {
            Name = "deep",
            Input = { "outermost", "mine", "here" },
            Output = { "deepest" },
        }
    );

    private static readonly GraphProto Middle = Graph(
        new NodeProto
        {
            Name = "first",
            Input = { "outer" },
            Output = { "mine" },
        },
        new NodeProto
        {
            Name = "loop",
            Input = { "mine" },
            Output = { "here" },
            Attribute =
            {
                new AttributeProto { Name = "body", G = Inner },
            },
        }
    );

    [Fact]
    public void Outer_reads_go_through_all_levels_and_leave_out_what_is_made_inside()
    {
        Assert.Equal(["here", "mine", "outermost"], Subgraphs.OuterReads(Inner).Order());
        Assert.Equal(["outer", "outermost"], Subgraphs.OuterReads(Middle).Order());
    }

    [Fact]
    public void Nodes_and_names_are_those_of_all_levels()
    {
        Assert.Equal(["first", "loop", "deep"], Subgraphs.Nodes(Middle.Node).Select(node => node.Name));
        Assert.Superset(
            new HashSet<string> { "mine", "here", "deepest", "outermost", "deep", "loop" },
            Subgraphs.Names(Middle).ToHashSet()
        );
    }

    [Fact]
    public void An_attribute_may_hold_one_graph_several_or_none()
    {
        Assert.Equal([Inner], Subgraphs.Of(new AttributeProto { G = Inner }));
        Assert.Equal([Inner, Middle], Subgraphs.Of(new AttributeProto { Graphs = { Inner, Middle } }));
        Assert.Empty(Subgraphs.Of(new AttributeProto { I = 3 }));
    }

    private static GraphProto Graph(params NodeProto[] nodes) => new() { Node = { nodes } };
}
