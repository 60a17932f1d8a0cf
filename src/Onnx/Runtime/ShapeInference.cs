using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// Finds type and shape of the values that lowering made beside the traced ones, so that every value in the file has
/// them. ONNX Runtime infers them when it loads a model; it is given the graph with its large tensors as inputs, and
/// saves what it found.
/// </summary>
internal static class ShapeInference
{
    private const int SmallBytes = 4096; // shapes, axes, scales: inference reads their values

    /// <summary>Completes the graph's infos in place. A graph that ONNX Runtime does not load is left for the
    /// verification to report.</summary>
    /// <param name="graph">Whose infos.</param>
    /// <param name="folder">Where ONNX Runtime may write what it finds.</param>
    public static void Complete(OnnxGraph graph, string folder)
    {
        if (graph.Nodes.SelectMany(node => node.Outputs).All(graph.Infos.ContainsKey))
            return;
        var small = graph.Copy();
        foreach (var tensor in graph.Initializers.Values.Where(tensor => tensor.Data.Length > SmallBytes))
        {
            small.Initializers.Remove(tensor.Name);
            small.Inputs.Add(new ValueInfo(tensor.Name, tensor.Type, [.. tensor.Dims.Select(size => (object)size)]));
        }

        var saved = Path.Combine(folder, $"{Guid.NewGuid():N}.shapes.onnx");
        var session = OrtSession.Quiet with
        {
            Optimization = GraphOptimizationLevel.ORT_DISABLE_ALL,
            RewrittenPath = saved,
        };
        try
        {
            using (session.Open(OnnxWriter.ToBytes(small))) { }
            foreach (var info in OnnxReader.ParseFile(saved).Graph.ValueInfo)
                Add(graph, info);
            AddRanks(graph);
        }
        catch (OnnxRuntimeException)
        {
            return;
        }
        finally
        {
            if (File.Exists(saved))
                File.Delete(saved);
        }
    }

    /// <summary>
    /// Where sizes are computed from data, inference stops: the rank is known, the sizes get names of their own.
    /// </summary>
    /// <param name="graph">The graph, changed in place.</param>
    private static void AddRanks(OnnxGraph graph)
    {
        foreach (
            var name in graph
                .Nodes.SelectMany(node => node.Outputs)
                .Where(name => !graph.Infos.ContainsKey(name) && graph.Ranks.ContainsKey(name))
        )
        {
            var (type, rank) = graph.Ranks[name];
            graph.Infos[name] = new ValueInfo(
                name,
                type,
                [.. Enumerable.Range(0, rank).Select(axis => (object)$"{name}_{axis}")]
            );
        }
    }

    /// <summary>
    /// Takes what ONNX Runtime found of a value, unless the traces know it already or it is no tensor of a known
    /// type.
    /// </summary>
    /// <param name="graph">The graph, changed in place.</param>
    /// <param name="info">Type and axes that were inferred.</param>
    private static void Add(OnnxGraph graph, ValueInfoProto info)
    {
        if (graph.Infos.ContainsKey(info.Name) || info.Type?.TensorType is not { Shape: { } shape } type)
            return;
        if (ElementTypes.SizeOf((ElementType)type.ElemType) is null)
            return;
        graph.Infos[info.Name] = new ValueInfo(
            info.Name,
            (ElementType)type.ElemType,
            [.. shape.Dim.Select((dim, axis) => OnnxReader.Dim(dim, info.Name, axis))]
        );
    }
}
