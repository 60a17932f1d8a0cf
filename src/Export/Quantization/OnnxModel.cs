using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Onnx.Proto;
using DataType = TorchBridge.Onnx.Proto.TensorProto.Types.DataType;

namespace TorchBridge.Export.Quantization;

/// <summary>An ONNX file as it is read: its message, and who makes and who reads each value. No TorchSharp here.</summary>
internal sealed class OnnxModel
{
    private readonly Dictionary<string, TensorProto> initializers;
    private Dictionary<string, NodeProto>? producers;
    private ILookup<string, NodeProto>? consumers;

    private OnnxModel(ModelProto proto)
    {
        Proto = proto;
        initializers = proto.Graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var number = 0;
        // Files of other makers may leave names out; the report and the options need them.
        foreach (var node in Nodes.Where(node => node.Name.Length == 0)) node.Name = string.Create(CultureInfo.InvariantCulture, $"{node.OpType}_{number++}");
    }

    public ModelProto Proto { get; }

    public IList<NodeProto> Nodes => Proto.Graph.Node;

    /// <summary>Version of the standard operators.</summary>
    public long Opset => Proto.OpsetImport.Where(import => import.Domain is "" or "ai.onnx").Select(import => import.Version).DefaultIfEmpty(0).Max();

    /// <summary>Names of the inputs that a caller gives.</summary>
    public IEnumerable<string> InputNames => Proto.Graph.Input.Select(input => input.Name).Where(name => !initializers.ContainsKey(name));

    /// <summary>Names of the outputs.</summary>
    public IEnumerable<string> OutputNames => Proto.Graph.Output.Select(output => output.Name);

    /// <summary>Reads a file, and the data file beside it where it has one.</summary>
    /// <exception cref="QuantizationException">It is missing, or no ONNX model.</exception>
    public static OnnxModel Load(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            var proto = ModelProto.Parser.ParseFrom(stream);
            if (proto.Graph is null || proto.Graph.Node.Count == 0) throw new QuantizationException($"{path} is not an ONNX model: it holds no graph");
            foreach (var tensor in proto.Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External)) Embed(tensor, path);
            return new OnnxModel(proto);
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new QuantizationException($"{path} is not an ONNX model: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new QuantizationException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>A copy that can be rewritten; the tensors' bytes are shared.</summary>
    public OnnxModel Copy() => new(Proto.Clone());

    public TensorProto? Initializer(string name) => initializers.GetValueOrDefault(name);

    public NodeProto? Producer(string value)
    {
        if (producers is null)
        {
            producers = new Dictionary<string, NodeProto>(StringComparer.Ordinal);
            foreach (var node in Nodes)
            {
                foreach (var output in node.Output.Where(output => output.Length > 0)) producers[output] = node;
            }
        }

        return producers.GetValueOrDefault(value);
    }

    public IEnumerable<NodeProto> Consumers(string value) =>
        (consumers ??= Nodes.SelectMany(node => node.Input.Where(input => input.Length > 0).Distinct().Select(input => (input, node))).ToLookup(pair => pair.input, pair => pair.node, StringComparer.Ordinal))[value];

    public bool IsOutput(string value) => Proto.Graph.Output.Any(output => output.Name == value);

    public void Add(TensorProto tensor)
    {
        Proto.Graph.Initializer.Add(tensor);
        initializers.Add(tensor.Name, tensor);
    }

    public void Replace(TensorProto tensor)
    {
        var tensors = Proto.Graph.Initializer;
        tensors[Enumerable.Range(0, tensors.Count).First(i => tensors[i].Name == tensor.Name)] = tensor;
        initializers[tensor.Name] = tensor;
    }

    /// <summary>Removes tensors that nobody reads.</summary>
    public void RemoveUnread()
    {
        var read = Nodes.SelectMany(node => node.Input).Concat(OutputNames).ToHashSet(StringComparer.Ordinal);
        foreach (var name in initializers.Keys.Where(name => !read.Contains(name)).ToArray()) initializers.Remove(name);
        // Not one by one: a repeated field finds what it removes by comparing bytes.
        var kept = Proto.Graph.Initializer.Where(tensor => read.Contains(tensor.Name)).ToArray();
        Proto.Graph.Initializer.Clear();
        Proto.Graph.Initializer.AddRange(kept);
    }

    /// <summary>The message with more of its values as outputs: ONNX Runtime gives no others.</summary>
    public byte[] WithOutputs(IEnumerable<string> values)
    {
        var copy = Proto.Clone();
        foreach (var name in values.Where(name => !IsOutput(name))) copy.Graph.Output.Add(new ValueInfoProto { Name = name });
        return copy.ToByteArray();
    }

    /// <summary>The float32 elements of a tensor.</summary>
    public static float[] Floats(TensorProto tensor) =>
        tensor.RawData.Length > 0 ? MemoryMarshal.Cast<byte, float>(tensor.RawData.Span).ToArray() : [.. tensor.FloatData];

    public static TensorProto Tensor(string name, float[] values, params long[] dims) => Tensor(name, DataType.Float, MemoryMarshal.AsBytes(values.AsSpan()), dims);

    public static TensorProto Tensor(string name, DataType type, ReadOnlySpan<byte> bytes, params long[] dims)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(dims);
        return tensor;
    }

    public static long Int(NodeProto node, string attribute, long fallback) => node.Attribute.FirstOrDefault(candidate => candidate.Name == attribute) is { } found ? found.I : fallback;

    public static float Float(NodeProto node, string attribute, float fallback) => node.Attribute.FirstOrDefault(candidate => candidate.Name == attribute) is { } found ? found.F : fallback;

    private static void Embed(TensorProto tensor, string path)
    {
        string? Entry(string key) => tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;
        var location = Entry("location") ?? throw new QuantizationException($"{path}: {tensor.Name} is stored outside the file, in a place that is not named");
        using var stream = File.OpenRead(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, location));
        stream.Position = long.Parse(Entry("offset") ?? "0", CultureInfo.InvariantCulture);
        var bytes = new byte[Entry("length") is { } length ? long.Parse(length, CultureInfo.InvariantCulture) : stream.Length - stream.Position];
        stream.ReadExactly(bytes);
        tensor.RawData = UnsafeByteOperations.UnsafeWrap(bytes);
        tensor.DataLocation = TensorProto.Types.DataLocation.Default;
        tensor.ExternalData.Clear();
    }
}
