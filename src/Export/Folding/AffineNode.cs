// Which nodes are an affine function of each channel (axis 1): BatchNormalization with constant parameters, and Mul,
// Add, Sub, Div with a constant that has one value a channel, or one for all. A constant broadcasts from the right,
// so for a value of rank r its axis 1 is the constant's axis (rank of the constant) - (r - 1); every other axis must
// have size 1. A value of one channel that a constant spreads to several is none: its layer has one channel, and
// cannot take them.
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>A node that scales and shifts channels: what it reads, what it does, and the tensors it has that
/// from.</summary>
/// <param name="Node">The node.</param>
/// <param name="Input">The value that it reads.</param>
/// <param name="Affine">What it does.</param>
/// <param name="Tensors">Its constants, in the node's order.</param>
internal sealed record AffineNode(OnnxNode Node, string Input, ChannelAffine Affine, IReadOnlyList<string> Tensors)
{
    /// <summary>The value that it makes.</summary>
    public string Output => Node.Outputs[0];

    /// <summary>Whether it is a BatchNormalization, and not arithmetic with a constant.</summary>
    public bool IsBatchNorm => Node.OpType == "BatchNormalization";

    /// <summary>Reads a node, or says with null that it is none.</summary>
    /// <param name="graph">Whose constants and ranks decide.</param>
    /// <param name="node">Any node.</param>
    /// <returns>Null for every other operator, for statistics that are computed, and for constants that do not stand
    /// one per channel.</returns>
    public static AffineNode? Read(OnnxGraph graph, OnnxNode node) =>
        node.OpType switch
        {
            "BatchNormalization" => OfBatchNorm(graph, node),
            "Mul" or "Add" or "Sub" or "Div" => OfArithmetic(graph, node),
            _ => null,
        };

    /// <summary>A BatchNormalization whose four tensors stand in the file.</summary>
    /// <param name="graph">Holds the constants.</param>
    /// <param name="node">A BatchNormalization.</param>
    /// <returns>Null where one of the four is computed in the graph, or is no float.</returns>
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
    /// <param name="graph">Holds the constants.</param>
    /// <param name="node">A Mul, Add, Sub or Div.</param>
    /// <returns>Null where neither operand is a constant that has one value per channel or one for all.</returns>
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
    /// Whether a constant's only axis above 1 is the channels' when it broadcasts to a rank.
    /// </summary>
    /// <param name="dims">Shape of the constant.</param>
    /// <param name="rank">Axes of the value that it broadcasts with; axis 1 is the channels'.</param>
    private static bool IsPerChannel(long[] dims, int rank)
    {
        if (dims.Length > rank)
            return false;
        var channelAxis = dims.Length - (rank - 1);
        return dims.Select((size, axis) => axis == channelAxis || size == 1).All(fits => fits);
    }

    /// <summary>Number of axes of a value, as far as lowering knows.</summary>
    /// <param name="graph">Any graph of ours.</param>
    /// <param name="name">A value.</param>
    /// <returns>Null where nothing is known of it.</returns>
    private static int? RankOf(OnnxGraph graph, string name) =>
        DimsOf(graph, name)?.Length ?? (graph.Ranks.TryGetValue(name, out var known) ? known.Rank : null);

    /// <summary>Size of axis 1; null where it is free or unknown.</summary>
    private static long? ChannelsOf(OnnxGraph graph, string name) => DimsOf(graph, name)?[1] as long?;

    /// <summary>Sizes of a value, as far as they are known.</summary>
    /// <param name="graph">Any graph of ours.</param>
    /// <param name="name">A value.</param>
    /// <returns>A long for a fixed size, a string for one that varies; null where nothing is known.</returns>
    private static object[]? DimsOf(OnnxGraph graph, string name) =>
        graph.Inputs.FirstOrDefault(input => input.Name == name)?.Dims ?? graph.Infos.GetValueOrDefault(name)?.Dims;

    /// <summary>Whether a constant's elements may be scaled and shifted.</summary>
    private static bool IsFloat(ElementType type) =>
        type is ElementType.Float32 or ElementType.Float64 or ElementType.Float16;
}
