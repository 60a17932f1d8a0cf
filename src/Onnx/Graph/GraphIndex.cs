namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Who makes and who reads each value of a graph, as the graph was when the index was made. Questions take constant
/// time; <see cref="OnnxGraph"/>'s own walk over all nodes, and see later changes.
/// </summary>
internal sealed class GraphIndex
{
    private readonly Dictionary<string, OnnxNode> producers = new(StringComparer.Ordinal);
    private readonly ILookup<string, OnnxNode> readers;
    private readonly HashSet<string> outputs;

    /// <summary>
    /// Looks at a graph once: nodes, inputs, outputs, and what subgraphs read from around them.
    /// </summary>
    /// <param name="graph">The graph; later changes do not show.</param>
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

    /// <summary>The node that makes a value; null for inputs and tensors of the file.</summary>
    /// <param name="value">Name of a value.</param>
    public OnnxNode? Producer(string value) => producers.GetValueOrDefault(value);

    /// <summary>
    /// The nodes that read a value, themselves or in their subgraphs, in the graph's order, each once.
    /// </summary>
    /// <param name="value">Name of a value; of one that nobody reads there are none.</param>
    public IEnumerable<OnnxNode> Readers(string value) => readers[value];

    /// <summary>Whether a value is an output of the graph.</summary>
    /// <param name="value">Name of a value.</param>
    public bool IsOutput(string value) => outputs.Contains(value);
}
