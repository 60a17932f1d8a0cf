using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>The graphs inside of nodes: bodies of If, Loop and Scan. They read values of the graph around them by
/// name.</summary>
internal static class Subgraphs
{
    /// <summary>The graphs that an attribute holds.</summary>
    public static IEnumerable<GraphProto> Of(AttributeProto attribute) =>
        attribute.G is null ? attribute.Graphs : attribute.Graphs.Prepend(attribute.G);

    /// <summary>Names that a graph, or one inside of it, reads and does not define.</summary>
    public static IEnumerable<string> OuterReads(GraphProto graph)
    {
        var read = graph.Node.SelectMany(node =>
            node.Input.Concat(node.Attribute.SelectMany(Of).SelectMany(OuterReads))
        );
        return read.Concat(graph.Output.Select(output => output.Name))
            .Except(Defined(graph), StringComparer.Ordinal)
            .ToArray();
    }

    /// <summary>Every name that stands in a graph, or in one inside of it: of values and of nodes.</summary>
    public static IEnumerable<string> Names(GraphProto graph) =>
        Defined(graph)
            .Concat(
                graph.Node.SelectMany(node =>
                    node.Input.Append(node.Name).Concat(node.Attribute.SelectMany(Of).SelectMany(Names))
                )
            );

    /// <summary>The nodes of a graph and of those inside of it.</summary>
    public static IEnumerable<NodeProto> Nodes(IEnumerable<NodeProto> nodes) =>
        nodes.SelectMany(node => Nodes(node.Attribute.SelectMany(Of).SelectMany(graph => graph.Node)).Prepend(node));

    private static IEnumerable<string> Defined(GraphProto graph) =>
        graph
            .Input.Select(input => input.Name)
            .Concat(graph.Initializer.Select(tensor => tensor.Name))
            .Concat(graph.SparseInitializer.Select(tensor => tensor.Values?.Name ?? ""))
            .Concat(graph.Node.SelectMany(node => node.Output));
}
