using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Finds the graphs inside nodes: the bodies of If, Loop and Scan, which read values of the surrounding graph by
/// name.
/// </summary>
internal static class Subgraphs
{
    /// <summary>The graphs that an attribute holds.</summary>
    /// <param name="attribute">An attribute of a node.</param>
    /// <returns>Empty for attributes that hold numbers, text or tensors.</returns>
    public static IEnumerable<GraphProto> Of(AttributeProto attribute) =>
        attribute.G is null ? attribute.Graphs : attribute.Graphs.Prepend(attribute.G);

    /// <summary>Names that a graph, or a graph nested in it, reads without defining them.</summary>
    /// <param name="graph">A body of If, Loop or Scan.</param>
    /// <returns>Names of values of the surrounding graph.</returns>
    public static IEnumerable<string> OuterReads(GraphProto graph)
    {
        var read = graph.Node.SelectMany(node =>
            node.Input.Concat(node.Attribute.SelectMany(Of).SelectMany(OuterReads))
        );
        return read.Concat(graph.Output.Select(output => output.Name))
            .Except(Defined(graph), StringComparer.Ordinal)
            .ToArray();
    }

    /// <summary>Every name of a value or node in a graph and in the graphs nested in it.</summary>
    /// <param name="graph">A body of If, Loop or Scan.</param>
    public static IEnumerable<string> Names(GraphProto graph) =>
        Defined(graph)
            .Concat(
                graph.Node.SelectMany(node =>
                    node.Input.Append(node.Name).Concat(node.Attribute.SelectMany(Of).SelectMany(Names))
                )
            );

    /// <summary>The nodes of a graph and of the graphs nested in it.</summary>
    /// <param name="nodes">Nodes of a graph or of a function.</param>
    /// <returns>Each node, followed by the nodes of its own subgraphs, at any depth.</returns>
    public static IEnumerable<NodeProto> Nodes(IEnumerable<NodeProto> nodes) =>
        nodes.SelectMany(node => Nodes(node.Attribute.SelectMany(Of).SelectMany(graph => graph.Node)).Prepend(node));

    /// <summary>Names of the values that a graph itself defines: inputs, tensors, results of nodes.</summary>
    /// <param name="graph">A graph inside a node.</param>
    private static IEnumerable<string> Defined(GraphProto graph) =>
        graph
            .Input.Select(input => input.Name)
            .Concat(graph.Initializer.Select(tensor => tensor.Name))
            .Concat(graph.SparseInitializer.Select(tensor => tensor.Values?.Name ?? ""))
            .Concat(graph.Node.SelectMany(node => node.Output));
}
