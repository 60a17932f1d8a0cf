using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// A graph as text, one line a node: <c>y:[batch, 8] = Gemm(x, fc.weight, fc.bias) {transB=1}</c>. Large tensors are
/// named by type and shape; whole numbers that a graph computes sizes with are spelled out. Two graphs of one text
/// differ in their weights at most.
/// </summary>
internal static class GraphText
{
    /// <summary>Tensors of more elements are named by their shape alone.</summary>
    private const int Spelled = 16;

    /// <summary>The text of a graph. Lines end with a line feed; numbers are invariant.</summary>
    /// <param name="graph">Any graph, built or read.</param>
    /// <returns>Lines for the operator set, inputs, nodes in their order, and outputs.</returns>
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

    /// <summary>The operator, with its domain where that is not the standard one.</summary>
    /// <param name="node">A node.</param>
    private static string Operator(OnnxNode node) => node.Domain is "" ? node.OpType : $"{node.Domain}.{node.OpType}";

    /// <summary>Name, type and sizes of an input or output.</summary>
    /// <param name="info">An input or an output.</param>
    private static string Info(ValueInfo info) => $"{info.Name}: {info.Type}{Shape(info.Dims)}";

    /// <summary>A value that a node makes, with its sizes where they are known.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="name">A value that a node makes.</param>
    private static string Output(OnnxGraph graph, string name) =>
        graph.Infos.TryGetValue(name, out var info) ? $"{name}:{Shape(info.Dims)}" : name;

    /// <summary>
    /// A value that a node reads: a name, the numbers of a small constant, or type and shape of a tensor.
    /// </summary>
    /// <param name="graph">The graph.</param>
    /// <param name="name">A value that a node reads.</param>
    private static string Input(OnnxGraph graph, string name)
    {
        if (!graph.Initializers.TryGetValue(name, out var tensor))
            return name;
        return Values(tensor) is { } values
            ? $"{tensor.Type}{(tensor.Dims.Length == 0 ? "" : Shape(tensor.Dims))} {values}"
            : $"{name}: {tensor.Type}{Shape(tensor.Dims)}";
    }

    /// <summary>
    /// The elements of a small computed constant; null for weights, which change from run to run and say nothing of
    /// the structure.
    /// </summary>
    /// <param name="tensor">A small tensor of numbers.</param>
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

    /// <summary><c>name=value</c>.</summary>
    /// <param name="attribute">Name and value.</param>
    private static string Attribute(KeyValuePair<string, object> attribute) =>
        $"{attribute.Key}={Text(attribute.Value is AttributeProto stored ? Value(stored) : attribute.Value)}";

    /// <summary>What a message of a file holds.</summary>
    /// <param name="stored">An attribute as the file has it.</param>
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

    /// <summary>A value as text; null for what has no short one.</summary>
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

    /// <summary>Axes in brackets.</summary>
    /// <typeparam name="T">Numbers or objects.</typeparam>
    /// <param name="dims">Sizes or names.</param>
    private static string Shape<T>(IEnumerable<T> dims) => $"[{Join(dims)}]";

    /// <summary>Values with commas between them, in the invariant culture.</summary>
    /// <typeparam name="T">Their type.</typeparam>
    /// <param name="values">Any.</param>
    private static string Join<T>(IEnumerable<T> values) =>
        string.Join(", ", values.Select(value => Convert.ToString(value, CultureInfo.InvariantCulture)));
}
