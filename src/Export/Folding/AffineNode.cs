// Which nodes are an affine function of each channel (axis 1): BatchNormalization with constant parameters, and Mul,
// Add, Sub, Div with a constant that has one value per channel or a single value. A constant broadcasts from the
// right, so for a value of rank r its axis 1 is the constant's axis (rank of the constant) - (r - 1); every other
// axis must have size 1. A one-channel value that a constant broadcasts to several channels does not count: its layer
// has one channel and cannot absorb them.
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>A node that scales and shifts channels, with its input, its affine function and the tensors that define
/// it.</summary>
/// <param name="Node">The node.</param>
/// <param name="Input">The value that it reads.</param>
/// <param name="Affine">Scale and shift per channel.</param>
/// <param name="Tensors">Its constants, in the node's order.</param>
internal sealed record AffineNode(OnnxNode Node, string Input, ChannelAffine Affine, IReadOnlyList<string> Tensors)
{
    /// <summary>Its output value.</summary>
    public string Output => Node.Outputs[0];

    /// <summary>Whether it is a BatchNormalization rather than arithmetic with a constant.</summary>
    public bool IsBatchNorm => Node.OpType == "BatchNormalization";

    /// <summary>Reads a node; null if it does not scale and shift channels.</summary>
    /// <param name="graph">The graph with the constants and ranks.</param>
    /// <param name="node">Any node.</param>
    /// <returns>Null for any other operator, for computed statistics, and for constants that are not per
    /// channel.</returns>
    public static AffineNode? Read(OnnxGraph graph, OnnxNode node) =>
        node.OpType switch
        {
            "BatchNormalization" => OfBatchNorm(graph, node),
            "Mul" or "Add" or "Sub" or "Div" => OfArithmetic(graph, node),
            _ => null,
        };

    /// <summary>Reads a BatchNormalization whose four tensors are constants.</summary>
    /// <param name="graph">The graph with the constants.</param>
    /// <param name="node">A BatchNormalization.</param>
    /// <returns>Null if one of the four is computed in the graph or is not floating-point.</returns>
    private static AffineNode? OfBatchNorm(OnnxGraph graph, OnnxNode node)
    {
        var parameters = node.Inputs.Skip(1).Select(graph.Initializers.GetValueOrDefault).ToArray();
        if (parameters.Any(parameter => parameter is null || !IsFloat(parameter.Type)))
            return null;
        var values = parameters.Select(parameter => TensorBytes.ToDoubles(parameter!)).ToArray();
        return new AffineNode(
            node,
            node.Inputs[0],
            ChannelAffine.OfBatchNorm(values[0], values[1], values[2], values[3], node.Float("epsilon", 1e-5f)),
            [.. node.Inputs.Skip(1)]
        );
    }

    /// <summary>
    /// x * k, x + k, x - k, k - x, x / k with a constant k that has one value per channel, or one for all.
    /// </summary>
    /// <param name="graph">The graph with the constants.</param>
    /// <param name="node">A Mul, Add, Sub or Div.</param>
    /// <returns>Null if neither operand is a constant with one value per channel or one for all.</returns>
    private static AffineNode? OfArithmetic(OnnxGraph graph, OnnxNode node)
    {
        var constantFirst = graph.Initializers.ContainsKey(node.Inputs[0]);
        var (input, constant) = constantFirst ? (node.Inputs[1], node.Inputs[0]) : (node.Inputs[0], node.Inputs[1]);
        if (
            !graph.Initializers.TryGetValue(constant, out var tensor)
            || graph.Initializers.ContainsKey(input)
            || !IsFloat(tensor.Type)
        )
            return null;
        if (RankOf(graph, input) is not { } rank || rank < 2 || !IsPerChannel(tensor.Dims, rank))
            return null;
        if (tensor.Count > 1 && ChannelsOf(graph, input) != tensor.Count)
            return null;
        var numbers = TensorBytes.ToDoubles(tensor);
        var affine = (node.OpType, constantFirst) switch
        {
            ("Mul", _) => new ChannelAffine(numbers, [0]),
            ("Add", _) => new ChannelAffine([1], numbers),
            ("Sub", false) => new ChannelAffine([1], [.. numbers.Select(value => -value)]),
            ("Sub", true) => new ChannelAffine([-1], numbers),
            ("Div", false) when numbers.All(value => value != 0) => new ChannelAffine(
                [.. numbers.Select(value => 1 / value)],
                [0]
            ),
            _ => null,
        };
        return affine is null ? null : new AffineNode(node, input, affine, [constant]);
    }

    /// <summary>
    /// Whether the channel axis is the only axis larger than 1 of a constant that is broadcast to a rank.
    /// </summary>
    /// <param name="dims">Shape of the constant.</param>
    /// <param name="rank">Number of axes of the value that it is combined with; axis 1 is the channel axis.</param>
    private static bool IsPerChannel(long[] dims, int rank)
    {
        if (dims.Length > rank)
            return false;
        var channelAxis = dims.Length - (rank - 1);
        return dims.Select((size, axis) => axis == channelAxis || size == 1).All(fits => fits);
    }

    /// <summary>Number of axes of a value, if lowering recorded it.</summary>
    /// <param name="graph">A lowered graph.</param>
    /// <param name="name">Name of a value.</param>
    /// <returns>Null if unknown.</returns>
    private static int? RankOf(OnnxGraph graph, string name) =>
        DimsOf(graph, name)?.Length ?? (graph.Ranks.TryGetValue(name, out var known) ? known.Rank : null);

    /// <summary>Size of axis 1; null if it is free or unknown.</summary>
    private static long? ChannelsOf(OnnxGraph graph, string name) => DimsOf(graph, name)?[1] as long?;

    /// <summary>Sizes of a value, as far as they are known.</summary>
    /// <param name="graph">A lowered graph.</param>
    /// <param name="name">Name of a value.</param>
    /// <returns>A long for a fixed size, a string for a free one; null if unknown.</returns>
    private static object[]? DimsOf(OnnxGraph graph, string name) =>
        graph.Inputs.FirstOrDefault(input => input.Name == name)?.Dims ?? graph.Infos.GetValueOrDefault(name)?.Dims;

    /// <summary>Whether an element type is floating-point, so that it can be scaled and shifted.</summary>
    private static bool IsFloat(ElementType type) =>
        type is ElementType.Float32 or ElementType.Float64 or ElementType.Float16;
}
