using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// Infers the type and shape of the values that lowering created in addition to the traced ones, so that every value
/// in the file has them. ONNX Runtime infers types and shapes when it loads a model; here it loads the graph with its
/// large tensors turned into inputs, and saves the result.
/// </summary>
internal static class ShapeInference
{
    private const int SmallBytes = 4096; // shapes, axes and scales stay: inference needs their values

    /// <summary>
    /// Adds the missing value infos to a graph. If ONNX Runtime cannot load the graph, nothing is added, and
    /// verification reports the error later.
    /// </summary>
    /// <param name="graph">The graph, changed in place.</param>
    /// <param name="folder">Folder for the temporary file to which ONNX Runtime writes its result.</param>
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
    /// Adds infos for values whose sizes depend on data, where inference stops: the rank is known, and each size gets
    /// a name of its own.
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
    /// Adds an inferred type and shape, unless the trace already supplied them or the value is not a tensor of a
    /// known type.
    /// </summary>
    /// <param name="graph">The graph, changed in place.</param>
    /// <param name="info">The inferred type and shape.</param>
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
