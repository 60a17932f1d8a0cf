using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>A tensor that stands in the file.</summary>
/// <param name="Name">Unique name; a parameter's is its state-dict key.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dims">Sizes.</param>
/// <param name="Data">Little-endian elements in C order.</param>
internal sealed record Initializer(string Name, ScalarType Type, long[] Dims, ReadOnlyMemory<byte> Data)
{
    /// <summary>The state-dict key whose bytes these are, unchanged; null for a tensor that the exporter computed.</summary>
    public string? Source { get; init; }

    public long Count => Dims.Aggregate(1L, (product, size) => product * size);
}

/// <summary>Name, type and shape of a graph's input, output or intermediate value. A dimension is a long, or a text where it is free.</summary>
internal sealed record ValueInfo(string Name, ScalarType Type, object[] Dims);

/// <summary>A node. Attribute values are long, float, string, long[], float[], string[] or <see cref="Initializer"/>.</summary>
internal sealed class OnnxNode
{
    public required string OpType { get; init; }

    public required string Name { get; init; }

    public required List<string> Inputs { get; init; }

    public required List<string> Outputs { get; init; }

    public SortedDictionary<string, object> Attributes { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Path of the module it comes from.</summary>
    public string ModulePath { get; init; } = "";

    public long Int(string name, long fallback) => Attributes.TryGetValue(name, out var value) ? (long)value : fallback;

    public float Float(string name, float fallback) => Attributes.TryGetValue(name, out var value) ? (float)value : fallback;

    public OnnxNode Copy() => new()
    {
        OpType = OpType,
        Name = Name,
        Inputs = [.. Inputs],
        Outputs = [.. Outputs],
        Attributes = new(Attributes, StringComparer.Ordinal),
        ModulePath = ModulePath,
    };
}

/// <summary>The graph that lowering builds, folding rewrites and <see cref="OnnxFile"/> writes. Nodes are in topological order.</summary>
internal sealed class OnnxGraph
{
    public required int Opset { get; init; }

    public List<OnnxNode> Nodes { get; private init; } = [];

    public Dictionary<string, Initializer> Initializers { get; private init; } = new(StringComparer.Ordinal);

    public List<ValueInfo> Inputs { get; private init; } = [];

    public List<ValueInfo> Outputs { get; private init; } = [];

    /// <summary>What is known of intermediate values, by name.</summary>
    public Dictionary<string, ValueInfo> Infos { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>Type and rank of the values that lowering made, by name: all that is known of some.</summary>
    public Dictionary<string, (ScalarType Type, int Rank)> Ranks { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>By name of a value: the number of the traced value that it is.</summary>
    public Dictionary<string, int> Origins { get; private init; } = new(StringComparer.Ordinal);

    /// <summary>How often each value is used; being an output of the graph is a use.</summary>
    public Dictionary<string, int> Uses()
    {
        var uses = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var name in Nodes.SelectMany(node => node.Inputs).Concat(Outputs.Select(output => output.Name)))
            uses[name] = uses.GetValueOrDefault(name) + 1;
        return uses;
    }

    /// <summary>Whether a value is an output of the graph.</summary>
    public bool IsOutput(string name) => Outputs.Any(output => output.Name == name);

    /// <summary>Makes every reader of a value read another one.</summary>
    public void ReplaceUses(string from, string to)
    {
        foreach (var node in Nodes)
        {
            for (var i = 0; i < node.Inputs.Count; i++)
            {
                if (node.Inputs[i] == from) node.Inputs[i] = to;
            }
        }
    }

    /// <summary>A copy whose nodes can be rewritten; tensors are shared.</summary>
    public OnnxGraph Copy() => new()
    {
        Opset = Opset,
        Nodes = [.. Nodes.Select(node => node.Copy())],
        Initializers = new(Initializers, StringComparer.Ordinal),
        Inputs = [.. Inputs],
        Outputs = [.. Outputs],
        Infos = new(Infos, StringComparer.Ordinal),
        Ranks = new(Ranks, StringComparer.Ordinal),
        Origins = new(Origins, StringComparer.Ordinal),
    };
}
