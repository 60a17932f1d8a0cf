namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Index of the nodes that produce and read each value, for a graph as it was when the index was built. A lookup
/// takes constant time; the methods of <see cref="OnnxGraph"/> itself search all nodes, but see later changes.
/// </summary>
internal sealed class GraphIndex
{
    private readonly Dictionary<string, OnnxNode> producers = new(StringComparer.Ordinal);
    private readonly ILookup<string, OnnxNode> readers;
    private readonly HashSet<string> outputs;

    /// <summary>
    /// Indexes a graph's nodes and outputs, including the values that subgraphs read from the surrounding graph.
    /// </summary>
    /// <param name="graph">The graph; later changes to it are not seen.</param>
    public GraphIndex(OnnxGraph graph)
    {
        foreach (var node in graph.Nodes)
        {
            foreach (var output in node.Outputs.Where(output => output.Length > 0))
                producers[output] = node;
        }

        readers = graph
            .Nodes.SelectMany(node => node.Reads.Select(input => (input, node)))
            .ToLookup(pair => pair.input, pair => pair.node, StringComparer.Ordinal);
        outputs = graph.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The node that produces a value; null for graph inputs and initializers.</summary>
    /// <param name="value">Name of a value.</param>
    public OnnxNode? Producer(string value) => producers.GetValueOrDefault(value);

    /// <summary>
    /// The nodes that read a value, directly or in their subgraphs, in the graph's order and each once.
    /// </summary>
    /// <param name="value">Name of a value; the result is empty if nothing reads it.</param>
    public IEnumerable<OnnxNode> Readers(string value) => readers[value];

    /// <summary>Whether a value is an output of the graph.</summary>
    /// <param name="value">Name of a value.</param>
    public bool IsOutput(string value) => outputs.Contains(value);
}
