using Google.Protobuf;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;
using static TorchBridge.Onnx.Proto.AttributeProto.Types;

namespace TorchBridge.Onnx.Format;

/// <summary>Converts a graph to the ONNX file format. The same graph always gives the same bytes.</summary>
internal static class OnnxWriter
{
    private const string Producer = "TorchBridge";

    /// <summary>
    /// Bytes reserved for a message's other fields when its size is estimated from its tensors alone.
    /// </summary>
    private const long Spare = 16 << 20;

    /// <summary>
    /// The file's protobuf message. IR version 8 belongs to opset 17; ONNX Runtime 1.31 accepts versions up to 12.
    /// </summary>
    /// <param name="graph">The graph to write.</param>
    /// <param name="metadata">Key-value pairs, which are written in the order of their keys; null to write the
    /// graph's own metadata unchanged.</param>
    /// <param name="external">The tensors that are in a data file; null to put all of them into the message.</param>
    /// <returns>A new message; it refers to the memory of the graph's tensors without copying it.</returns>
    /// <exception cref="InvalidDataException">The message would exceed 2 GB, the limit of protobuf.</exception>
    public static ModelProto ToProto(
        OnnxGraph graph,
        IEnumerable<KeyValuePair<string, string>>? metadata = null,
        ExternalLayout? external = null
    )
    {
        var bytes = graph
            .Initializers.Values.Where(tensor => external?.Holds(tensor) != true)
            .Sum(tensor => (long)Size(tensor));
        if (bytes > int.MaxValue - Spare)
            throw new InvalidDataException(
                FormattableString.Invariant(
                    $"the model has {bytes} bytes of tensors, and a protobuf message can have at most {int.MaxValue} (2 GB)"
                )
            );
        var model = graph.Rest?.Clone() ?? NewModel(graph.Opset);
        model.Graph.Node.AddRange(graph.Nodes.Select(ToProto));
        model.Graph.Initializer.AddRange(graph.Initializers.Values.Select(tensor => ToProto(tensor, external)));
        model.Graph.Input.AddRange(graph.Inputs.Select(ToProto));
        model.Graph.Output.AddRange(graph.Outputs.Select(ToProto));
        var made = graph.Nodes.SelectMany(node => node.Outputs).Where(name => !graph.IsOutput(name));
        model.Graph.ValueInfo.AddRange(made.Where(graph.Infos.ContainsKey).Select(name => ToProto(graph.Infos[name])));
        SetMetadata(
            model,
            metadata?.OrderBy(pair => pair.Key, StringComparer.Ordinal) ?? graph.Metadata.AsEnumerable()
        );
        return model;
    }

    /// <summary>The file's bytes.</summary>
    /// <param name="graph">The graph to write, with its own metadata.</param>
    /// <returns>The same bytes for the same graph.</returns>
    /// <exception cref="InvalidDataException">The file would exceed 2 GB.</exception>
    public static byte[] ToBytes(OnnxGraph graph) => ToProto(graph).ToByteArray();

    /// <summary>
    /// The bytes of the graph with additional values as outputs: ONNX Runtime returns only outputs.
    /// </summary>
    /// <param name="graph">The graph; it is not changed.</param>
    /// <param name="values">Names of intermediate values; existing outputs are not repeated.</param>
    /// <returns>The bytes of a model whose sessions can return these values.</returns>
    /// <exception cref="InvalidDataException">The file would exceed 2 GB.</exception>
    public static byte[] WithOutputs(OnnxGraph graph, IEnumerable<string> values)
    {
        var model = ToProto(graph);
        AddOutputs(model, values);
        return model.ToByteArray();
    }

    /// <summary>
    /// Writes the model of <see cref="WithOutputs"/> to a file, with the large tensors in a data file next to it, for
    /// models larger than 2 GB.
    /// </summary>
    /// <param name="graph">The graph; it is not changed.</param>
    /// <param name="values">Names of intermediate values to add as outputs.</param>
    /// <param name="path">The file to write. It should be a temporary one, because it is not written
    /// atomically.</param>
    public static void WriteWithOutputs(OnnxGraph graph, IEnumerable<string> values, string path)
    {
        var layout = ExternalLayout.Write(graph, Path.GetDirectoryName(path)!, Path.GetFileName(path));
        var model = ToProto(graph, external: layout);
        AddOutputs(model, values);
        using var stream = File.Create(path);
        model.WriteTo(stream);
    }

    /// <summary>Total size of all tensors in the file, in bytes.</summary>
    /// <param name="graph">The graph.</param>
    public static long TensorBytes(OnnxGraph graph) => graph.Initializers.Values.Sum(tensor => (long)Size(tensor));

    /// <summary>
    /// Size in bytes of the file that a graph would make; the size of the tensors alone if they are too large for one
    /// message.
    /// </summary>
    /// <param name="graph">The graph; nothing is written.</param>
    public static long FileBytes(OnnxGraph graph) =>
        TensorBytes(graph) is var bytes && bytes > int.MaxValue - Spare ? bytes : ToProto(graph).CalculateSize();

    /// <summary>
    /// Adds metadata to a file. Protobuf allows more entries of a repeated field to be appended to a message, so the
    /// bytes that were verified stay untouched. The message is rewritten only if one of the keys exists already.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="present">The metadata keys that the file has.</param>
    /// <param name="added">The metadata to add.</param>
    public static void AddMetadata(
        string path,
        IReadOnlyCollection<string> present,
        IReadOnlyDictionary<string, string> added
    )
    {
        if (!added.Keys.Any(present.Contains))
        {
            var message = new ModelProto();
            SetMetadata(message, added.OrderBy(pair => pair.Key, StringComparer.Ordinal));
            using var end = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.None);
            message.WriteTo(end);
            return;
        }

        var model = OnnxReader.ParseFile(path);
        var metadata = model.MetadataProps.ToDictionary(
            entry => entry.Key,
            entry => entry.Value,
            StringComparer.Ordinal
        );
        foreach (var (key, value) in added)
            metadata[key] = value;
        SetMetadata(model, metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal));
        using var whole = File.Create(path);
        model.WriteTo(whole);
    }

    /// <summary>
    /// An empty model with this library as its producer. The IR version is the one released with the opset.
    /// </summary>
    /// <param name="opset">Opset of the standard operators; it determines the IR version.</param>
    private static ModelProto NewModel(int opset)
    {
        var model = new ModelProto
        {
            IrVersion = opset switch
            {
                <= 18 => 8,
                <= 20 => 9,
                _ => 10,
            },
            ProducerName = Producer,
            ProducerVersion = typeof(OnnxWriter).Assembly.GetName().Version!.ToString(3),
            Graph = new GraphProto { Name = "forward" },
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = opset });
        return model;
    }

    /// <summary>Adds values as outputs without type and shape: ONNX Runtime infers both.</summary>
    /// <param name="model">The message, changed in place.</param>
    /// <param name="values">Names of values; existing outputs are not repeated.</param>
    private static void AddOutputs(ModelProto model, IEnumerable<string> values)
    {
        var outputs = model.Graph.Output.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var name in values.Where(name => !outputs.Contains(name)))
            model.Graph.Output.Add(new ValueInfoProto { Name = name });
    }

    /// <summary>Replaces the metadata of a message.</summary>
    /// <param name="model">The message, changed in place.</param>
    /// <param name="metadata">Key-value pairs in the order in which to write them.</param>
    private static void SetMetadata(ModelProto model, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        model.MetadataProps.Clear();
        model.MetadataProps.AddRange(
            metadata.Select(pair => new StringStringEntryProto { Key = pair.Key, Value = pair.Value })
        );
    }

    /// <summary>
    /// A node's message, including the parts of the original message that the node class does not represent.
    /// </summary>
    /// <param name="node">A node of the graph.</param>
    private static NodeProto ToProto(OnnxNode node)
    {
        var proto = node.Rest?.Clone() ?? new NodeProto();
        proto.Name = node.Name;
        proto.OpType = node.OpType;
        proto.Domain = node.Domain;
        proto.Input.AddRange(node.Inputs);
        proto.Output.AddRange(node.Outputs);
        proto.Attribute.AddRange(node.Attributes.Select(pair => ToProto(pair.Key, pair.Value)));
        return proto;
    }

    /// <summary>An attribute's message; the type of the value decides the attribute's type.</summary>
    /// <param name="name">The attribute's name.</param>
    /// <param name="value">The attribute's value.</param>
    private static AttributeProto ToProto(string name, object value) =>
        value switch
        {
            AttributeProto stored => stored,
            long number => new AttributeProto
            {
                Name = name,
                I = number,
                Type = AttributeType.Int,
            },
            float number => new AttributeProto
            {
                Name = name,
                F = number,
                Type = AttributeType.Float,
            },
            string text => new AttributeProto
            {
                Name = name,
                S = ByteString.CopyFromUtf8(text),
                Type = AttributeType.String,
            },
            long[] numbers => new AttributeProto
            {
                Name = name,
                Ints = { numbers },
                Type = AttributeType.Ints,
            },
            float[] numbers => new AttributeProto
            {
                Name = name,
                Floats = { numbers },
                Type = AttributeType.Floats,
            },
            string[] texts => new AttributeProto
            {
                Name = name,
                Strings = { texts.Select(ByteString.CopyFromUtf8) },
                Type = AttributeType.Strings,
            },
            Initializer tensor => new AttributeProto
            {
                Name = name,
                T = ToProto(tensor, external: null),
                Type = AttributeType.Tensor,
            },
            _ => throw new ArgumentException(
                $"attribute {name} has the type {value.GetType().Name}; allowed are long, float, string, arrays of these, and tensors"
            ),
        };

    /// <summary>
    /// A tensor's message, with either the position of its elements in a data file or the elements themselves, which
    /// are not copied.
    /// </summary>
    /// <param name="tensor">A tensor of the graph.</param>
    /// <param name="external">The tensors that are in a data file; null if all are in the message.</param>
    private static TensorProto ToProto(Initializer tensor, ExternalLayout? external)
    {
        if (external?.Holds(tensor) == true)
            return external.Describe(tensor);
        var proto = tensor.Stored?.Clone()
            ?? new TensorProto { RawData = UnsafeByteOperations.UnsafeWrap(tensor.Data), Dims = { tensor.Dims } };
        proto.Name = tensor.Name;
        proto.DataType = (int)tensor.Type;
        return proto;
    }

    /// <summary>
    /// Bytes that a tensor takes up in a message, as raw bytes or in the typed fields that older writers fill.
    /// </summary>
    /// <param name="tensor">A tensor of the graph.</param>
    private static int Size(Initializer tensor) => tensor.Stored?.CalculateSize() ?? tensor.Data.Length;

    /// <summary>
    /// The message of a value's type and shape; one that was read from a file is written back unchanged.
    /// </summary>
    /// <param name="info">Type and shape of a value.</param>
    private static ValueInfoProto ToProto(ValueInfo info)
    {
        if (info.Stored is { } stored)
            return stored;
        var shape = new TensorShapeProto();
        shape.Dim.AddRange(
            info.Dims.Select(dim =>
                dim is long size
                    ? new TensorShapeProto.Types.Dimension { DimValue = size }
                    : new TensorShapeProto.Types.Dimension { DimParam = (string)dim }
            )
        );
        return new ValueInfoProto
        {
            Name = info.Name,
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor { ElemType = (int)info.Type, Shape = shape },
            },
        };
    }
}
