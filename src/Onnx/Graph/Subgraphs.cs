using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>The graphs inside of nodes: bodies of If, Loop and Scan. They read values of the graph around them by
/// name.</summary>
internal static class Subgraphs
{
    /// <summary>The graphs that an attribute holds.</summary>
    /// <param name="attribute">An attribute of a node.</param>
    /// <returns>None for attributes of numbers, text and tensors.</returns>
    public static IEnumerable<GraphProto> Of(AttributeProto attribute) =>
        attribute.G is null ? attribute.Graphs : attribute.Graphs.Prepend(attribute.G);

    /// <summary>Names that a graph, or one inside of it, reads and does not define.</summary>
    /// <param name="graph">A body of If, Loop or Scan.</param>
    /// <returns>Names of values of the graph around it.</returns>
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
    /// <param name="graph">A body of If, Loop or Scan.</param>
    public static IEnumerable<string> Names(GraphProto graph) =>
        Defined(graph)
            .Concat(
                graph.Node.SelectMany(node =>
                    node.Input.Append(node.Name).Concat(node.Attribute.SelectMany(Of).SelectMany(Names))
                )
            );

    /// <summary>The nodes of a graph and of those inside of it.</summary>
    /// <param name="nodes">Nodes of a graph or of a function.</param>
    /// <returns>Each node, and behind it those of its own graphs, however deep.</returns>
    public static IEnumerable<NodeProto> Nodes(IEnumerable<NodeProto> nodes) =>
        nodes.SelectMany(node => Nodes(node.Attribute.SelectMany(Of).SelectMany(graph => graph.Node)).Prepend(node));

    /// <summary>Names that a graph gives to values itself: inputs, tensors, results of nodes.</summary>
    /// <param name="graph">A graph inside of a node.</param>
    private static IEnumerable<string> Defined(GraphProto graph) =>
        graph
            .Input.Select(input => input.Name)
            .Concat(graph.Initializer.Select(tensor => tensor.Name))
            .Concat(graph.SparseInitializer.Select(tensor => tensor.Values?.Name ?? ""))
            .Concat(graph.Node.SelectMany(node => node.Output));
}
