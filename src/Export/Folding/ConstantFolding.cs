using Microsoft.ML.OnnxRuntime;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using static TorchSharp.torch;

namespace TorchBridge.Export.Folding;

/// <summary>Replaces nodes that read only constants by their results, computed by ONNX Runtime with the same kernels
/// that would run them.</summary>
internal static class ConstantFolding
{
    /// <summary>Bytes by which a result may be larger than its inputs; a larger one (an expanded constant) is cheaper
    /// to compute than to store.</summary>
    private const long Growth = 64 << 10;

    /// <summary>Folds the constants of a graph in place.</summary>
    /// <param name="graph">The graph, changed in place. Nodes whose results would make the file much larger are
    /// kept.</param>
    public static void Fold(OnnxGraph graph)
    {
        var constants = graph.Initializers.Keys.ToHashSet(StringComparer.Ordinal);
        var nodes = new List<OnnxNode>();
        foreach (
            var node in graph.Nodes.Where(node =>
                !node.OpType.StartsWith("Random", StringComparison.Ordinal)
                && node.Inputs.All(input => input.Length == 0 || constants.Contains(input))
            )
        )
        {
            constants.UnionWith(node.Outputs);
            nodes.Add(node);
        }

        if (nodes.Count == 0)
            return;
        // Only values that a non-constant node reads or that are outputs.
        var read = graph
            .Nodes.Except(nodes)
            .SelectMany(node => node.Inputs)
            .Concat(graph.Outputs.Select(output => output.Name))
            .ToHashSet(StringComparer.Ordinal);
        var results = nodes.SelectMany(node => node.Outputs).Where(read.Contains).ToArray();
        foreach (var (name, tensor) in Compute(graph, nodes, results))
        {
            if (graph.IsOutput(name))
                continue;
            foreach (var node in nodes.Where(node => node.Outputs.Contains(name)))
                node.Outputs[node.Outputs.IndexOf(name)] = $"{name}:folded away";
            graph.Initializers.Add(name, tensor);
        }
    }

    /// <summary>
    /// Runs the constant nodes in ONNX Runtime, and returns the results that are worth storing.
    /// </summary>
    /// <param name="graph">The graph with the constants that they read.</param>
    /// <param name="nodes">All nodes that depend only on constants, in order.</param>
    /// <param name="results">Their values that other nodes read or that are outputs.</param>
    private static List<(string Name, Initializer Tensor)> Compute(
        OnnxGraph graph,
        List<OnnxNode> nodes,
        string[] results
    )
    {
        var part = new OnnxGraph { Opset = graph.Opset };
        part.Nodes.AddRange(nodes);
        foreach (var name in nodes.SelectMany(node => node.Inputs).Distinct().Where(graph.Initializers.ContainsKey))
            part.Initializers.Add(name, graph.Initializers[name]);
        var limit = part.Initializers.Values.Sum(tensor => (long)tensor.Data.Length) + Growth;
        var kept = new List<(string, Initializer)>();
        try
        {
            using var scope = NewDisposeScope();
            using var model = new OrtModel(OnnxWriter.WithOutputs(part, results));
            foreach (var (name, tensor) in results.Zip(model.Run([], results)))
            {
                if (tensor.numel() * tensor.element_size() <= limit)
                    kept.Add((name, TensorBytes.ToInitializer(name, tensor)));
            }
        }
        catch (Exception error) when (error is OnnxRuntimeException or InvalidDataException)
        {
            // For example, a kernel is missing for a type, or there are more than 2 GB of constants: the nodes are
            // kept, and the verification checks them.
            return [];
        }

        return kept;
    }
}
