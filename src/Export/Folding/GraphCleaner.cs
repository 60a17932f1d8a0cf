using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>Removes what has no effect: Identity nodes, nodes and tensors that nothing reads, duplicate
/// tensors.</summary>
internal static class GraphCleaner
{
    /// <summary>Cleans a graph in place.</summary>
    /// <param name="graph">The graph, changed in place; its results stay the same.</param>
    public static void Clean(OnnxGraph graph)
    {
        RemoveIdentities(graph);
        MergeEqualInitializers(graph);
        RemoveDead(graph);
    }

    /// <summary>
    /// Removes Identity nodes. The value before an Identity takes over the name of the output after it, unless it
    /// must keep its own name.
    /// </summary>
    private static void RemoveIdentities(OnnxGraph graph)
    {
        foreach (var identity in graph.Nodes.Where(node => node.OpType == "Identity").ToArray())
        {
            string from = identity.Inputs[0],
                to = identity.Outputs[0];
            if (!graph.IsOutput(to))
            {
                graph.ReplaceUses(to, from);
                graph.Nodes.Remove(identity);
                continue;
            }

            // The value takes over the output's name, unless it is an input, an initializer or an output itself.
            var producer = graph.Producer(from);
            if (producer is null || graph.IsOutput(from))
                continue;
            producer.Outputs[producer.Outputs.IndexOf(from)] = to;
            graph.ReplaceUses(from, to);
            graph.Nodes.Remove(identity);
        }
    }

    /// <summary>Merges tensors that are equal in type, shape and every byte.</summary>
    private static void MergeEqualInitializers(OnnxGraph graph)
    {
        var groups = graph.Initializers.Values.GroupBy(tensor => (tensor.Type, string.Join(',', tensor.Dims)));
        foreach (var group in groups.Where(group => group.Count() > 1).Select(group => group.ToArray()).ToArray())
        {
            var kept = new List<Initializer>();
            foreach (var tensor in group)
            {
                var same = kept.FirstOrDefault(other => other.Data.Span.SequenceEqual(tensor.Data.Span));
                if (same is null)
                {
                    kept.Add(tensor);
                    continue;
                }

                graph.ReplaceUses(tensor.Name, same.Name);
                graph.Initializers.Remove(tensor.Name);
            }
        }
    }

    /// <summary>Removes nodes and tensors that no output depends on.</summary>
    private static void RemoveDead(OnnxGraph graph)
    {
        var needed = graph.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        for (var index = graph.Nodes.Count - 1; index >= 0; index--)
        {
            var node = graph.Nodes[index];
            if (node.Outputs.Any(needed.Contains))
                needed.UnionWith(node.Inputs);
            else
                graph.Nodes.RemoveAt(index);
        }

        foreach (var name in graph.Initializers.Keys.Where(name => !needed.Contains(name)).ToArray())
            graph.Initializers.Remove(name);
    }
}
