using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// A node. Attribute values are long, float, string, long[], float[], string[] or <see cref="Initializer"/>; those
/// that were read from a file are the messages that stood there.
/// </summary>
internal sealed class OnnxNode
{
    /// <summary>
    /// The operator: <c>Conv</c>, <c>Gemm</c>, a function of the file, one of another domain.
    /// </summary>
    public required string OpType { get; init; }

    /// <summary>Unique name.</summary>
    public required string Name { get; init; }

    /// <summary>Names of the values that it reads; empty for an optional one that is left out.</summary>
    public required List<string> Inputs { get; init; }

    /// <summary>Names of the values that it makes.</summary>
    public required List<string> Outputs { get; init; }

    /// <summary>Where the operator is defined; empty for the standard operators.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Attributes by name.</summary>
    public SortedDictionary<string, object> Attributes { get; init; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Path of the module it comes from, <c>features.3.conv</c>, for reports and errors; empty in graphs that were
    /// read from a file.
    /// </summary>
    public string ModulePath { get; init; } = "";

    /// <summary>What else a file said of the node: its doc string, fields of newer versions.</summary>
    public NodeProto? Rest { get; init; }

    /// <summary>Whether a function of the file defines the operator, whatever it is called.</summary>
    public bool IsFunction { get; init; }

    /// <summary>The operator where it is one of the standard ones; empty for those of other domains and for functions
    /// of the file.</summary>
    public string StandardType => Domain is "" or "ai.onnx" && !IsFunction ? OpType : "";

    /// <summary>Names of the values that the node's subgraphs (the bodies of If, Loop and Scan) read from the graph
    /// around them.</summary>
    public IEnumerable<string> SubgraphReads =>
        Attributes.Values.OfType<AttributeProto>().SelectMany(Subgraphs.Of).SelectMany(Subgraphs.OuterReads);

    /// <summary>Every value that the node needs: its inputs, and what its subgraphs read.</summary>
    public IEnumerable<string> Reads =>
        Inputs.Concat(SubgraphReads).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal);

    /// <summary>An integer attribute.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">What holds where it is not there: ONNX's own default.</param>
    public long Int(string name, long fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            long value => value,
            AttributeProto stored => stored.I,
            _ => fallback,
        };

    /// <summary>A float attribute.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">What holds where it is not there: ONNX's own default.</param>
    public float Float(string name, float fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            float value => value,
            AttributeProto stored => stored.F,
            _ => fallback,
        };

    /// <summary>A text attribute.</summary>
    /// <param name="name">The attribute.</param>
    /// <param name="fallback">What holds where it is not there: ONNX's own default.</param>
    public string Text(string name, string fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            string value => value,
            AttributeProto stored => stored.S.ToStringUtf8(),
            _ => fallback,
        };

    /// <summary>An attribute of several integers; empty where it is not there.</summary>
    /// <param name="name">The attribute.</param>
    public IReadOnlyList<long> Ints(string name) =>
        Attributes.GetValueOrDefault(name) switch
        {
            long[] values => values,
            AttributeProto stored => stored.Ints,
            _ => [],
        };

    /// <summary>A copy whose inputs, outputs and attributes can be changed.</summary>
    /// <returns>A node of its own; attribute values are shared, for they never change.</returns>
    public OnnxNode Copy() =>
        new()
        {
            OpType = OpType,
            Name = Name,
            Inputs = [.. Inputs],
            Outputs = [.. Outputs],
            Domain = Domain,
            IsFunction = IsFunction,
            Attributes = new(Attributes, StringComparer.Ordinal),
            ModulePath = ModulePath,
            Rest = Rest,
        };
}
