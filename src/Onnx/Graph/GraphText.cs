using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Writes a graph as text, one line per node: <c>y:[batch, 8] = Gemm(x, fc.weight, fc.bias) {transB=1}</c>. Large
/// tensors appear with type and shape only; small integer tensors, with which a graph computes sizes, appear with
/// their values. Graphs with equal text differ at most in their weights.
/// </summary>
internal static class GraphText
{
    /// <summary>Tensors with more elements than this appear without their values.</summary>
    private const int Spelled = 16;

    /// <summary>The text of a graph. Lines end with a line feed; numbers use the invariant culture.</summary>
    /// <param name="graph">Any graph, built here or read from a file.</param>
    /// <returns>Lines for the opset, the inputs, the nodes in their order, and the outputs.</returns>
    public static string Of(OnnxGraph graph)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"opset {graph.Opset}\n");
        foreach (var input in graph.Inputs.Where(input => !graph.Initializers.ContainsKey(input.Name)))
            text.Append(CultureInfo.InvariantCulture, $"input {Info(input)}\n");
        foreach (var node in graph.Nodes)
        {
            var outputs = node.Outputs.Select(name => Output(graph, name));
            var inputs = node.Inputs.Select(name => Input(graph, name));
            text.Append(CultureInfo.InvariantCulture, $"{string.Join(", ", outputs)} = {Operator(node)}");
            text.Append(CultureInfo.InvariantCulture, $"({string.Join(", ", inputs)})");
            if (node.Attributes.Count > 0)
                text.Append(
                    CultureInfo.InvariantCulture,
                    $" {{{string.Join(", ", node.Attributes.Select(Attribute))}}}"
                );
            text.Append('\n');
        }

        foreach (var output in graph.Outputs)
            text.Append(CultureInfo.InvariantCulture, $"output {Info(output)}\n");
        return text.ToString();
    }

    /// <summary>The operator's name, preceded by its domain unless that is the standard one.</summary>
    /// <param name="node">A node.</param>
    private static string Operator(OnnxNode node) => node.Domain is "" ? node.OpType : $"{node.Domain}.{node.OpType}";

    /// <summary>Name, type and sizes of an input or output.</summary>
    /// <param name="info">An input or an output.</param>
    private static string Info(ValueInfo info) => $"{info.Name}: {info.Type}{Shape(info.Dims)}";

    /// <summary>A value that a node produces, with its shape where that is known.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="name">Name of the value.</param>
    private static string Output(OnnxGraph graph, string name) =>
        graph.Infos.TryGetValue(name, out var info) ? $"{name}:{Shape(info.Dims)}" : name;

    /// <summary>
    /// A value that a node reads: its name, the elements of a small constant, or the type and shape of a tensor.
    /// </summary>
    /// <param name="graph">The graph.</param>
    /// <param name="name">Name of the value.</param>
    private static string Input(OnnxGraph graph, string name)
    {
        if (!graph.Initializers.TryGetValue(name, out var tensor))
            return name;
        return Values(tensor) is { } values
            ? $"{tensor.Type}{(tensor.Dims.Length == 0 ? "" : Shape(tensor.Dims))} {values}"
            : $"{name}: {tensor.Type}{Shape(tensor.Dims)}";
    }

    /// <summary>
    /// The elements of a small computed constant; null for large tensors, and for weights, which differ between
    /// training runs and say nothing about the structure.
    /// </summary>
    /// <param name="tensor">Any tensor.</param>
    private static string? Values(Initializer tensor)
    {
        if (tensor.Count > Spelled || tensor.Source is not null)
            return null;
        return tensor.Type switch
        {
            ElementType.Int64 => Join(MemoryMarshal.Cast<byte, long>(tensor.Data.Span).ToArray()),
            ElementType.Float32 when tensor.Count == 1 => Join(
                MemoryMarshal.Cast<byte, float>(tensor.Data.Span).ToArray()
            ),
            ElementType.Float64 when tensor.Count == 1 => Join(
                MemoryMarshal.Cast<byte, double>(tensor.Data.Span).ToArray()
            ),
            _ => null,
        };
    }

    /// <summary>An attribute as <c>name=value</c>.</summary>
    /// <param name="attribute">Name and value.</param>
    private static string Attribute(KeyValuePair<string, object> attribute) =>
        $"{attribute.Key}={Text(attribute.Value is AttributeProto stored ? Value(stored) : attribute.Value)}";

    /// <summary>The value of an attribute that was read from a file.</summary>
    /// <param name="stored">The attribute's protobuf message.</param>
    private static object Value(AttributeProto stored) =>
        stored.Type switch
        {
            AttributeProto.Types.AttributeType.Int => stored.I,
            AttributeProto.Types.AttributeType.Float => stored.F,
            AttributeProto.Types.AttributeType.String => stored.S.ToStringUtf8(),
            AttributeProto.Types.AttributeType.Ints => stored.Ints.ToArray(),
            AttributeProto.Types.AttributeType.Floats => stored.Floats.ToArray(),
            AttributeProto.Types.AttributeType.Strings => stored.Strings.Select(text => text.ToStringUtf8()).ToArray(),
            AttributeProto.Types.AttributeType.Tensor => Initializer.Of(stored.T),
            var other => other,
        };

    /// <summary>An attribute's value as text.</summary>
    /// <param name="value">Value of an attribute.</param>
    private static string? Text(object value) =>
        value switch
        {
            long[] values => $"[{Join(values)}]",
            float[] values => $"[{Join(values)}]",
            string[] values => $"[{string.Join(", ", values)}]",
            Initializer tensor => $"{tensor.Type}{Shape(tensor.Dims)} {Values(tensor)}",
            var other => Convert.ToString(other, CultureInfo.InvariantCulture),
        };

    /// <summary>A shape in brackets.</summary>
    /// <typeparam name="T">Numbers or objects.</typeparam>
    /// <param name="dims">Sizes, or names of dynamic sizes.</param>
    private static string Shape<T>(IEnumerable<T> dims) => $"[{Join(dims)}]";

    /// <summary>Values separated by commas, formatted with the invariant culture.</summary>
    /// <typeparam name="T">Type of the values.</typeparam>
    /// <param name="values">The values.</param>
    private static string Join<T>(IEnumerable<T> values) =>
        string.Join(", ", values.Select(value => Convert.ToString(value, CultureInfo.InvariantCulture)));
}
