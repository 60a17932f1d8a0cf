using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>Removes what changes nothing: Identity nodes, nodes and tensors that nobody reads, tensors that stand
/// twice.</summary>
internal static class GraphCleaner
{
    /// <summary>Cleans a graph in place.</summary>
    /// <param name="graph">Changed in place; what it computes stays the same.</param>
    public static void Clean(OnnxGraph graph)
    {
        RemoveIdentities(graph);
        MergeEqualInitializers(graph);
        RemoveDead(graph);
    }

    /// <summary>
    /// Takes Identity nodes out. An output takes over the name of the value that it is, unless that has a name of its
    /// own to keep.
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

            // An output takes over the name of the value it is, unless that is an input, a tensor of the file, or an
            // output itself.
            var producer = graph.Producer(from);
            if (producer is null || graph.IsOutput(from))
                continue;
            producer.Outputs[producer.Outputs.IndexOf(from)] = to;
            graph.ReplaceUses(from, to);
            graph.Nodes.Remove(identity);
        }
    }

    /// <summary>Makes one tensor of those that are equal in type, sizes and every byte.</summary>
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
