using System.Globalization;
using Google.Protobuf;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// Reads ONNX files, with the data files beside them: whole, for rewriting; or in parts (metadata, one tensor at a
/// time) where the whole would stand in memory for nothing. Every way checks structure and sizes before memory is
/// taken.
/// </summary>
internal static class OnnxReader
{
    /// <summary>Reads a model whole: its tensors then stand in memory.</summary>
    /// <param name="path">The file.</param>
    /// <returns>A graph with every tensor in memory. What the graph class does not hold (functions, other domains) is
    /// kept for writing.</returns>
    /// <exception cref="InvalidDataException">It is no ONNX model, or a damaged one; the message names the
    /// file.</exception>
    /// <exception cref="IOException">It, or its data file, cannot be read.</exception>
    public static OnnxGraph Read(string path)
    {
        try
        {
            var model = ParseFile(path);
            foreach (var tensor in ModelStructure.Tensors(model).Where(ExternalData.IsExternal).ToArray())
                ExternalData.Embed(tensor, path);
            return ToGraph(model);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{path} is not an ONNX model that can be read: {error.Message}", error);
        }
    }

    /// <summary>Reads a model from a file's bytes. Tensors that are stored outside the file stay there.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>The graph; tensors that were read are views into <paramref name="onnx"/>'s message.</returns>
    /// <exception cref="InvalidDataException">It is no ONNX model, or a damaged one.</exception>
    public static OnnxGraph Read(byte[] onnx, string name)
    {
        try
        {
            return ToGraph(Parse(() => ModelProto.Parser.ParseFrom(onnx)));
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{name} is not an ONNX model that can be read: {error.Message}", error);
        }
    }

    /// <summary>
    /// The metadata of a file's bytes, in their order; a key may stand twice. Tensors are passed over.
    /// </summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <returns>Key-value pairs in the file's order. The caller decides what a repeated key means.</returns>
    /// <exception cref="InvalidDataException">It is no ONNX model.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> MetadataEntries(byte[] onnx, string name)
    {
        var entries = new List<KeyValuePair<string, string>>();
        try
        {
            using var input = new CodedInputStream(onnx);
            while (input.ReadTag() is var tag && tag != 0)
            {
                if (tag != WireFormat.MakeTag(ModelProto.MetadataPropsFieldNumber, WireFormat.WireType.LengthDelimited))
                {
                    input.SkipLastField();
                    continue;
                }

                var entry = new StringStringEntryProto();
                input.ReadMessage(entry);
                entries.Add(new(entry.Key, entry.Value));
            }
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new InvalidDataException($"{name} is not an ONNX model: {error.Message}", error);
        }

        return entries;
    }

    /// <summary>The tensors of a file, one at a time: all at once they would stand in memory a second time.</summary>
    /// <param name="path">The model's file.</param>
    /// <returns>Tensors of the outer graph, in the file's order, lazily; each may be forgotten before the next is
    /// read.</returns>
    /// <exception cref="InvalidDataException">A tensor is damaged, or stored in a place that is not
    /// allowed.</exception>
    public static IEnumerable<Initializer> Initializers(string path)
    {
        foreach (var tensor in StoredTensors(path))
        {
            if (ExternalData.IsExternal(tensor))
                ExternalData.Embed(tensor, path);
            yield return Initializer.Of(tensor);
        }
    }

    /// <summary>Reads a model's bytes for its structure alone, before a runtime sees them.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="InvalidDataException">It is no ONNX model, or a damaged one.</exception>
    public static void Probe(byte[] onnx, string name)
    {
        try
        {
            ModelStructure.Check(Parse(() => ModelProto.Parser.ParseFrom(onnx)));
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{name} is not an ONNX model that can be read: {error.Message}", error);
        }
    }

    /// <summary>
    /// Names of the data files that a model's tensors are in; empty for a model that is whole. Tensors are passed
    /// over, not read.
    /// </summary>
    /// <param name="path">The model's file.</param>
    public static IReadOnlySet<string> DataFiles(string path) =>
        StoredTensors(path).Select(ExternalData.Location).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>The tensors of a file's outer graph as messages, read field by field from a stream.</summary>
    /// <param name="path">The file.</param>
    private static IEnumerable<TensorProto> StoredTensors(string path)
    {
        using var stream = File.OpenRead(path);
        using var input = new CodedInputStream(stream);
        while (input.ReadTag() is var tag && tag != 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) != ModelProto.GraphFieldNumber)
            {
                input.SkipLastField();
                continue;
            }

            var length = input.ReadLength();
            for (var end = input.Position + length; input.Position < end; )
            {
                if (WireFormat.GetTagFieldNumber(input.ReadTag()) != GraphProto.InitializerFieldNumber)
                {
                    input.SkipLastField();
                    continue;
                }

                var tensor = new TensorProto();
                input.ReadMessage(tensor);
                yield return tensor;
            }
        }
    }

    /// <summary>Parses a file as it stands: tensors in data files stay there.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InvalidDataException">It is larger than 2 GB, is no ONNX model, or holds no
    /// graph.</exception>
    internal static ModelProto ParseFile(string path)
    {
        using var stream = File.OpenRead(path);
        if (stream.Length > int.MaxValue)
            throw new InvalidDataException(
                FormattableString.Invariant(
                    $"it has {stream.Length} bytes, and a protobuf message ends at {int.MaxValue} (2 GB)"
                )
            );
        return Parse(() => ModelProto.Parser.ParseFrom(stream));
    }

    /// <summary>Parses, with protobuf's own error as a refusal that readers of this room throw.</summary>
    /// <param name="parse">Reads the message.</param>
    private static ModelProto Parse(Func<ModelProto> parse)
    {
        try
        {
            var model = parse();
            return model.Graph is not null ? model : throw new InvalidDataException("it holds no graph");
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new InvalidDataException(error.Message, error);
        }
    }

    /// <summary>The metadata by key; of a repeated key the last entry counts.</summary>
    /// <param name="model">The message.</param>
    private static Dictionary<string, string> Metadata(ModelProto model)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in model.MetadataProps)
            metadata[entry.Key] = entry.Value;
        return metadata;
    }

    /// <summary>Takes a message apart; what the graph does not hold stays in it.</summary>
    /// <param name="model">The message; it is kept for what the graph does not know.</param>
    private static OnnxGraph ToGraph(ModelProto model)
    {
        ModelStructure.Check(model);
        var opset = model
            .OpsetImport.Where(import => import.Domain is "" or "ai.onnx")
            .Select(import => import.Version)
            .DefaultIfEmpty(0)
            .Max();
        var graph = new OnnxGraph { Opset = (int)Math.Clamp(opset, 0, int.MaxValue), Rest = model };
        var parts = model.Graph;
        var functions = model.Functions.Select(ModelStructure.Key).ToHashSet();
        graph.Nodes.AddRange(NamedNodes(parts, functions));
        foreach (var tensor in parts.Initializer)
        {
            // Where a name stands twice ONNX Runtime takes the later tensor.
            graph.Initializers[tensor.Name] = Initializer.Of(tensor);
        }

        graph.Inputs.AddRange(parts.Input.Select(ToInfo));
        graph.Outputs.AddRange(parts.Output.Select(ToInfo));
        foreach (var info in parts.ValueInfo)
            graph.Infos[info.Name] = ToInfo(info);
        foreach (var (key, value) in Metadata(model))
            graph.Metadata[key] = value;
        parts.Node.Clear();
        parts.Initializer.Clear();
        parts.Input.Clear();
        parts.Output.Clear();
        parts.ValueInfo.Clear();
        model.MetadataProps.Clear();
        return graph;
    }

    /// <summary>
    /// Files of other makers may leave names out: reports and options need them. Constants may share one, even with a
    /// layer: ONNX Runtime makes tensors of them before it looks at names.
    /// </summary>
    /// <param name="graph">The main graph.</param>
    /// <param name="functions">Names of the model's own functions.</param>
    private static IEnumerable<OnnxNode> NamedNodes(GraphProto graph, HashSet<(string Domain, string Name)> functions)
    {
        var taken = graph.Node.Select(node => node.Name).ToHashSet(StringComparer.Ordinal);
        var shared = graph
            .Node.GroupBy(node => node.Name, StringComparer.Ordinal)
            .Where(same => same.Count() > 1)
            .Select(same => same.Key)
            .ToHashSet(StringComparer.Ordinal);
        var number = 0;
        foreach (var node in graph.Node)
        {
            var isNamed =
                node.Name.Length > 0 && !(node is { OpType: "Constant", Domain: "" } && shared.Contains(node.Name));
            var name = isNamed ? node.Name : "";
            while (name.Length == 0 || (!isNamed && !taken.Add(name)))
                name = string.Create(CultureInfo.InvariantCulture, $"{node.OpType}_{number++}");
            yield return ToNode(node, name, functions.Contains(ModelStructure.Key(node)));
        }
    }

    /// <summary>
    /// Takes a node's message apart. What the node class does not hold (doc string, fields of newer versions) stays
    /// in the message, and is written again.
    /// </summary>
    /// <param name="stored">As the file has it.</param>
    /// <param name="name">Its name, or one that was made for it.</param>
    /// <param name="isFunction">Whether its operator is one of the model's functions.</param>
    private static OnnxNode ToNode(NodeProto stored, string name, bool isFunction)
    {
        var node = new OnnxNode
        {
            OpType = stored.OpType,
            Name = name,
            Domain = stored.Domain,
            IsFunction = isFunction,
            Inputs = [.. stored.Input],
            Outputs = [.. stored.Output],
            Rest = stored,
        };
        foreach (var attribute in stored.Attribute)
            node.Attributes[attribute.Name] = attribute;
        stored.Input.Clear();
        stored.Output.Clear();
        stored.Attribute.Clear();
        return node;
    }

    /// <summary>Name, type and sizes of a value; of a sequence or a map the message alone, with no type.</summary>
    /// <param name="stored">As the file has it.</param>
    private static ValueInfo ToInfo(ValueInfoProto stored)
    {
        var tensor = stored.Type?.TensorType;
        return new ValueInfo(
            stored.Name,
            (ElementType)(tensor?.ElemType ?? 0),
            [.. (tensor?.Shape?.Dim ?? []).Select((dim, axis) => Dim(dim, stored.Name, axis))]
        )
        {
            Stored = stored,
        };
    }

    /// <summary>A size, or the name of a free one; a name is made up where there is none.</summary>
    /// <param name="dim">The size as the file states it.</param>
    /// <param name="value">The value that it belongs to, for a made-up name.</param>
    /// <param name="axis">Its axis, from 0.</param>
    /// <returns>A long for a known size, a text for a free one.</returns>
    internal static object Dim(TensorShapeProto.Types.Dimension dim, string value, int axis)
    {
        if (dim.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue)
            return dim.DimValue;
        return dim.DimParam is { Length: > 0 } name ? name : $"{value}_{axis}";
    }
}
