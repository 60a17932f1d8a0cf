using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Proto;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>
/// Finds type and shape of the values that lowering made beside the traced ones, so that every value in the file has them. ONNX Runtime
/// infers them when it loads a model; it is given the graph with its large tensors as inputs, and saves what it found.
/// </summary>
internal static class ShapeInference
{
    private const int SmallBytes = 4096; // shapes, axes, scales: inference reads their values

    /// <summary>Completes the graph's infos in place. A graph that ONNX Runtime does not load is left for the verification to report.</summary>
    public static void Complete(OnnxGraph graph, string path)
    {
        if (graph.Nodes.SelectMany(node => node.Outputs).All(graph.Infos.ContainsKey)) return;
        var model = OnnxFile.ToProto(graph);
        foreach (var tensor in model.Graph.Initializer.Where(tensor => tensor.RawData.Length > SmallBytes).ToArray())
        {
            model.Graph.Initializer.Remove(tensor);
            model.Graph.Input.Add(Input(tensor));
        }

        var saved = $"{path}.{Guid.NewGuid():N}.shapes.tmp";
        try
        {
            using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL, OptimizedModelFilePath = saved, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
            using (new InferenceSession(model.ToByteArray(), options)) { }
            foreach (var info in ModelProto.Parser.ParseFrom(File.ReadAllBytes(saved)).Graph.ValueInfo) Add(graph, info);
            AddRanks(graph);
        }
        catch (OnnxRuntimeException)
        {
            return;
        }
        finally
        {
            if (File.Exists(saved)) File.Delete(saved);
        }
    }

    /// <summary>Where sizes are computed from data, inference stops: the rank is known, the sizes get names of their own.</summary>
    private static void AddRanks(OnnxGraph graph)
    {
        foreach (var name in graph.Nodes.SelectMany(node => node.Outputs).Where(name => !graph.Infos.ContainsKey(name) && graph.Ranks.ContainsKey(name)))
        {
            var (type, rank) = graph.Ranks[name];
            graph.Infos[name] = new ValueInfo(name, type, [.. Enumerable.Range(0, rank).Select(axis => (object)$"{name}_{axis}")]);
        }
    }

    private static ValueInfoProto Input(TensorProto tensor)
    {
        var shape = new TensorShapeProto();
        shape.Dim.AddRange(tensor.Dims.Select(size => new TensorShapeProto.Types.Dimension { DimValue = size }));
        return new ValueInfoProto { Name = tensor.Name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = tensor.DataType, Shape = shape } } };
    }

    private static void Add(OnnxGraph graph, ValueInfoProto info)
    {
        if (graph.Infos.ContainsKey(info.Name) || info.Type?.TensorType is not { Shape: { } shape } type) return;
        var known = Enum.GetValues<ScalarType>().Where(candidate => candidate is not (ScalarType.ComplexFloat32 or ScalarType.ComplexFloat64) && IsWritten(candidate));
        foreach (var candidate in known.Where(candidate => (int)OnnxFile.DataType(candidate) == type.ElemType))
        {
            graph.Infos[info.Name] = new ValueInfo(info.Name, candidate, [.. shape.Dim.Select((dim, axis) => dim.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue ? (object)dim.DimValue : dim.DimParam is { Length: > 0 } name ? name : $"{info.Name}_{axis}")]);
            return;
        }
    }

    private static bool IsWritten(ScalarType type) => type is ScalarType.Float32 or ScalarType.Float64 or ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Int64 or ScalarType.Int32 or ScalarType.Int16 or ScalarType.Int8 or ScalarType.Byte or ScalarType.Bool;
}
