using System.Globalization;
using Google.Protobuf;
using TorchBridge.Onnx.Proto;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>Turns a graph into the ONNX file format. The same graph gives the same bytes.</summary>
internal static class OnnxFile
{
    private const string Producer = "TorchBridge";

    /// <summary>The file's message. IR version 8 is the one of opset 17; ONNX Runtime 1.31 takes up to 12.</summary>
    /// <param name="graph">What to write.</param>
    /// <param name="metadata">Key-value pairs.</param>
    /// <param name="dataFile">Name of the file that <see cref="WriteData"/> writes the tensors into, or null to have them in the message.</param>
    public static ModelProto ToProto(OnnxGraph graph, IEnumerable<KeyValuePair<string, string>>? metadata = null, string? dataFile = null)
    {
        var model = new ModelProto
        {
            IrVersion = graph.Opset switch { <= 18 => 8, <= 20 => 9, _ => 10 },
            ProducerName = Producer,
            ProducerVersion = typeof(OnnxFile).Assembly.GetName().Version!.ToString(3),
            Graph = new GraphProto { Name = "forward" },
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = graph.Opset });
        model.Graph.Node.AddRange(graph.Nodes.Select(ToProto));
        long offset = 0;
        foreach (var tensor in graph.Initializers.Values) model.Graph.Initializer.Add(dataFile is null ? ToProto(tensor) : ToExternal(tensor, dataFile, ref offset));
        model.Graph.Input.AddRange(graph.Inputs.Select(ToProto));
        model.Graph.Output.AddRange(graph.Outputs.Select(ToProto));
        var named = graph.Nodes.SelectMany(node => node.Outputs).Where(name => !graph.IsOutput(name));
        model.Graph.ValueInfo.AddRange(named.Where(graph.Infos.ContainsKey).Select(name => ToProto(graph.Infos[name])));
        SetMetadata(model, metadata ?? []);
        return model;
    }

    /// <summary>Writes the tensors into a data file, in the order in which the message names their places.</summary>
    public static void WriteData(OnnxGraph graph, string path)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        foreach (var tensor in graph.Initializers.Values) stream.Write(tensor.Data.Span);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>A message of the graph with more of its values as outputs: ONNX Runtime gives no others.</summary>
    public static byte[] WithOutputs(OnnxGraph graph, IEnumerable<string> values)
    {
        var model = ToProto(graph);
        foreach (var name in values.Where(name => !graph.IsOutput(name))) model.Graph.Output.Add(new ValueInfoProto { Name = name });
        return model.ToByteArray();
    }

    /// <summary>A message with metadata and nothing else.</summary>
    public static ModelProto MetadataOnly(IEnumerable<KeyValuePair<string, string>> metadata)
    {
        var model = new ModelProto();
        SetMetadata(model, metadata);
        return model;
    }

    /// <summary>Replaces the metadata of a model, in the order of the keys.</summary>
    public static void SetMetadata(ModelProto model, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        model.MetadataProps.Clear();
        model.MetadataProps.AddRange(metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value }));
    }

    /// <summary>The ONNX element type of a TorchSharp dtype.</summary>
    public static TensorProto.Types.DataType DataType(ScalarType type) => type switch
    {
        ScalarType.Float32 => TensorProto.Types.DataType.Float,
        ScalarType.Float64 => TensorProto.Types.DataType.Double,
        ScalarType.Float16 => TensorProto.Types.DataType.Float16,
        ScalarType.BFloat16 => TensorProto.Types.DataType.Bfloat16,
        ScalarType.Int64 => TensorProto.Types.DataType.Int64,
        ScalarType.Int32 => TensorProto.Types.DataType.Int32,
        ScalarType.Int16 => TensorProto.Types.DataType.Int16,
        ScalarType.Int8 => TensorProto.Types.DataType.Int8,
        ScalarType.Byte => TensorProto.Types.DataType.Uint8,
        ScalarType.Bool => TensorProto.Types.DataType.Bool,
        _ => throw new ExportException($"dtype {type} has no counterpart in ONNX Runtime's CPU provider"),
    };

    private static NodeProto ToProto(OnnxNode node)
    {
        var proto = new NodeProto { Name = node.Name, OpType = node.OpType };
        proto.Input.AddRange(node.Inputs);
        proto.Output.AddRange(node.Outputs);
        proto.Attribute.AddRange(node.Attributes.Select(pair => ToProto(pair.Key, pair.Value)));
        return proto;
    }

    private static AttributeProto ToProto(string name, object value)
    {
        var proto = new AttributeProto { Name = name };
        switch (value)
        {
            case long number: (proto.I, proto.Type) = (number, AttributeProto.Types.AttributeType.Int); break;
            case float number: (proto.F, proto.Type) = (number, AttributeProto.Types.AttributeType.Float); break;
            case string text: (proto.S, proto.Type) = (ByteString.CopyFromUtf8(text), AttributeProto.Types.AttributeType.String); break;
            case long[] numbers: proto.Ints.AddRange(numbers); proto.Type = AttributeProto.Types.AttributeType.Ints; break;
            case float[] numbers: proto.Floats.AddRange(numbers); proto.Type = AttributeProto.Types.AttributeType.Floats; break;
            case string[] texts: proto.Strings.AddRange(texts.Select(ByteString.CopyFromUtf8)); proto.Type = AttributeProto.Types.AttributeType.Strings; break;
            case Initializer tensor: (proto.T, proto.Type) = (ToProto(tensor), AttributeProto.Types.AttributeType.Tensor); break;
            default: throw new ArgumentException($"attribute {name} has the type {value.GetType().Name}; allowed are long, float, string, arrays of these, and tensors");
        }

        return proto;
    }

    private static TensorProto ToExternal(Initializer tensor, string dataFile, ref long offset)
    {
        var proto = new TensorProto { Name = tensor.Name, DataType = (int)DataType(tensor.Type), DataLocation = TensorProto.Types.DataLocation.External };
        proto.Dims.AddRange(tensor.Dims);
        foreach (var (key, value) in ((string, string)[])[("location", dataFile), ("offset", offset.ToString(CultureInfo.InvariantCulture)), ("length", tensor.Data.Length.ToString(CultureInfo.InvariantCulture))])
            proto.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        offset += tensor.Data.Length;
        return proto;
    }

    private static TensorProto ToProto(Initializer tensor)
    {
        var proto = new TensorProto { Name = tensor.Name, DataType = (int)DataType(tensor.Type), RawData = UnsafeByteOperations.UnsafeWrap(tensor.Data) };
        proto.Dims.AddRange(tensor.Dims);
        return proto;
    }

    private static ValueInfoProto ToProto(ValueInfo info)
    {
        var shape = new TensorShapeProto();
        shape.Dim.AddRange(info.Dims.Select(dim => dim is long size
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = (string)dim }));
        return new ValueInfoProto { Name = info.Name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType(info.Type), Shape = shape } } };
    }
}
