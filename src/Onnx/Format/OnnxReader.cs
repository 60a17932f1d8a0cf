using System.Globalization;
using Google.Protobuf;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>
/// Reads ONNX files and the data files next to them: completely, for rewriting, or in parts (only the metadata, or
/// one tensor at a time) to save memory. Structure and sizes are checked before memory is allocated.
/// </summary>
internal static class OnnxReader
{
    /// <summary>Reads a complete model, with all tensors, into memory.</summary>
    /// <param name="path">The model's file.</param>
    /// <returns>The graph. Parts of the file that the graph class does not represent (functions, other domains) are
    /// kept for writing.</returns>
    /// <exception cref="InvalidDataException">The file is not an ONNX model or is damaged; the message names the
    /// file.</exception>
    /// <exception cref="IOException">The file or its data file cannot be read.</exception>
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
    /// <param name="onnx">The file's bytes.</param>
    /// <param name="name">The model's name in error messages.</param>
    /// <returns>The graph; its tensors share the memory of the parsed message.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX model, or are damaged.</exception>
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
    /// Reads the metadata from a file's bytes and skips the tensors. A key may occur more than once.
    /// </summary>
    /// <param name="onnx">The file's bytes.</param>
    /// <param name="name">The model's name in error messages.</param>
    /// <returns>Key-value pairs in the file's order; the caller decides what a repeated key means.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX model.</exception>
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

    /// <summary>Reads the tensors of a file one at a time, so that they are not all in memory at once.</summary>
    /// <param name="path">The model's file.</param>
    /// <returns>The tensors of the main graph, in the file's order, read lazily; each may be released before the next
    /// is read.</returns>
    /// <exception cref="InvalidDataException">A tensor is damaged, or is stored in a place that is not
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

    /// <summary>Checks the structure of a model's bytes before a runtime opens them.</summary>
    /// <param name="onnx">The file's bytes.</param>
    /// <param name="name">The model's name in error messages.</param>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX model, or are damaged.</exception>
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
    /// Names of the data files that hold a model's tensors; empty if the model has none. The data files are not read.
    /// </summary>
    /// <param name="path">The model's file.</param>
    public static IReadOnlySet<string> DataFiles(string path) =>
        StoredTensors(path).Select(ExternalData.Location).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>The messages of the tensors in a file's main graph, read one by one from a stream.</summary>
    /// <param name="path">The model's file.</param>
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

    /// <summary>Parses a file without reading its data files.</summary>
    /// <param name="path">The model's file.</param>
    /// <exception cref="InvalidDataException">The file is larger than 2 GB, is not an ONNX model, or holds no
    /// graph.</exception>
    internal static ModelProto ParseFile(string path)
    {
        using var stream = File.OpenRead(path);
        if (stream.Length > int.MaxValue)
            throw new InvalidDataException(
                FormattableString.Invariant(
                    $"it has {stream.Length} bytes, and a protobuf message can have at most {int.MaxValue} (2 GB)"
                )
            );
        return Parse(() => ModelProto.Parser.ParseFrom(stream));
    }

    /// <summary>
    /// Parses a message, and turns protobuf's own exception into <see cref="InvalidDataException"/>.
    /// </summary>
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

    /// <summary>The metadata by key; the last entry of a repeated key counts.</summary>
    /// <param name="model">The message.</param>
    private static Dictionary<string, string> Metadata(ModelProto model)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in model.MetadataProps)
            metadata[entry.Key] = entry.Value;
        return metadata;
    }

    /// <summary>Moves the parts of a model's message into a graph; the rest of the message is kept with it.</summary>
    /// <param name="model">The message; the graph keeps what remains of it.</param>
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
            // If a name occurs twice, ONNX Runtime uses the later tensor.
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
    /// Gives a name to every node, because reports and options need one. Other tools may omit names, and constants
    /// may share a name, even with a layer: ONNX Runtime turns constants into tensors before it looks at names.
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
    /// Moves the parts of a node's message into a node. The rest (doc string, fields of newer versions) stays in the
    /// message and is written back.
    /// </summary>
    /// <param name="stored">The message from the file.</param>
    /// <param name="name">The node's name, or one that was made up for it.</param>
    /// <param name="isFunction">Whether the operator is one of the model's functions.</param>
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

    /// <summary>Name, type and shape of a value; for a sequence or a map only the message, without a type.</summary>
    /// <param name="stored">The message from the file.</param>
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

    /// <summary>A fixed size, or the name of a dynamic one; a name is made up if there is none.</summary>
    /// <param name="dim">The dimension's message from the file.</param>
    /// <param name="value">Name of the value to which the dimension belongs, for a made-up name.</param>
    /// <param name="axis">The dimension's axis, from 0.</param>
    /// <returns>A long for a fixed size, a string for a dynamic one.</returns>
    internal static object Dim(TensorShapeProto.Types.Dimension dim, string value, int axis)
    {
        if (dim.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue)
            return dim.DimValue;
        return dim.DimParam is { Length: > 0 } name ? name : $"{value}_{axis}";
    }
}
