using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// A node of an ONNX graph. Attribute values are long, float, string, long[], float[], string[] or
/// <see cref="Initializer"/>; those read from a file are protobuf messages.
/// </summary>
internal sealed class OnnxNode
{
    /// <summary>
    /// The operator's name: a standard operator such as <c>Conv</c>, one of another domain, or a function defined in
    /// the file.
    /// </summary>
    public required string OpType { get; init; }

    /// <summary>Unique name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Names of the values that the node reads; an empty name stands for an omitted optional input.
    /// </summary>
    public required List<string> Inputs { get; init; }

    /// <summary>Names of the values that the node produces.</summary>
    public required List<string> Outputs { get; init; }

    /// <summary>The operator's domain; empty for the standard operators.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Attributes by name.</summary>
    public SortedDictionary<string, object> Attributes { get; init; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Path of the module that the node comes from, for example <c>features.3.conv</c>, for reports and errors; empty
    /// in graphs that were read from a file.
    /// </summary>
    public string ModulePath { get; init; } = "";

    /// <summary>
    /// Everything else that a file says about the node: its doc string, and fields of newer ONNX versions.
    /// </summary>
    public NodeProto? Rest { get; init; }

    /// <summary>
    /// Whether a function in the file defines the operator, even if it has the name of a standard operator.
    /// </summary>
    public bool IsFunction { get; init; }

    /// <summary>
    /// The operator's name if it is a standard operator; empty for operators of other domains and for functions of
    /// the file.
    /// </summary>
    public string StandardType => Domain is "" or "ai.onnx" && !IsFunction ? OpType : "";

    /// <summary>
    /// Names of the values that the node's subgraphs (the bodies of If, Loop and Scan) read from the surrounding
    /// graph.
    /// </summary>
    public IEnumerable<string> SubgraphReads =>
        Attributes.Values.OfType<AttributeProto>().SelectMany(Subgraphs.Of).SelectMany(Subgraphs.OuterReads);

    /// <summary>Every value that the node needs: its inputs, and the values that its subgraphs read.</summary>
    public IEnumerable<string> Reads =>
        Inputs.Concat(SubgraphReads).Where(name => name.Length > 0).Distinct(StringComparer.Ordinal);

    /// <summary>An integer attribute.</summary>
    /// <param name="name">The attribute's name.</param>
    /// <param name="fallback">The value if the attribute is absent: the default of the ONNX specification.</param>
    public long Int(string name, long fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            long value => value,
            AttributeProto stored => stored.I,
            _ => fallback,
        };

    /// <summary>A float attribute.</summary>
    /// <param name="name">The attribute's name.</param>
    /// <param name="fallback">The value if the attribute is absent: the default of the ONNX specification.</param>
    public float Float(string name, float fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            float value => value,
            AttributeProto stored => stored.F,
            _ => fallback,
        };

    /// <summary>A string attribute.</summary>
    /// <param name="name">The attribute's name.</param>
    /// <param name="fallback">The value if the attribute is absent: the default of the ONNX specification.</param>
    public string Text(string name, string fallback) =>
        Attributes.GetValueOrDefault(name) switch
        {
            string value => value,
            AttributeProto stored => stored.S.ToStringUtf8(),
            _ => fallback,
        };

    /// <summary>An attribute that is a list of integers; empty if it is absent.</summary>
    /// <param name="name">The attribute's name.</param>
    public IReadOnlyList<long> Ints(string name) =>
        Attributes.GetValueOrDefault(name) switch
        {
            long[] values => values,
            AttributeProto stored => stored.Ints,
            _ => [],
        };

    /// <summary>A copy whose inputs, outputs and attributes can be changed.</summary>
    /// <returns>A new node; it shares the attribute values, which are immutable.</returns>
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
