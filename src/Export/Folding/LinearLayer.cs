// A layer that is linear in its channels, with everything that has been folded into it so far. Computed in float64
// and rounded once, when all folds are known:
//
//   layer              y = W x + c
//   affine after it    z = S y + T      gives W'[o, i] = S[o] W[o, i],  c' = S c + T
//   affine before it   x = s u + t      gives W'[o, i] = W[o, i] s[i],  c'[o] = c[o] + sum_i,k W[o, i, k] t[i]
//
// Layouts, where o is the output channel and i the input channel:
//   Conv           W[o, in/groups, k...]     o is axis 0; i = group of o x in/groups + axis 1
//   ConvTranspose  W[i, out/groups, k...]    i is axis 0; o = group of i x out/groups + axis 1
//   Gemm (transB)  W[o, i]                   alpha = 1, beta = 1, as the exporter writes it; others are refused
// A shift before a padded convolution is not exact: the zeros of the padding are not shifted. Nor is it before a
// ConvTranspose, whose borders see fewer terms of the sum. Source: Ioffe & Szegedy 2015, section 3.1; PyTorch
// torch.nn.utils.fusion.fuse_conv_bn_weights.
using System.Runtime.InteropServices;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>A Conv, ConvTranspose or Gemm with constant weights, and the affine functions to be folded into
/// it.</summary>
internal sealed class LinearLayer
{
    /// <summary>The layer's own weight, before folding.</summary>
    private readonly Initializer weight;

    /// <summary>The layer's own bias, before folding; null if it has none.</summary>
    private readonly Initializer? bias;

    /// <summary>Number of channel groups; 1 for a Gemm.</summary>
    private readonly long groups;

    /// <summary>Whether other layers read the same bias tensor, so that the folded bias needs another name.</summary>
    private readonly bool isBiasShared;

    /// <summary>Creates a layer with nothing folded into it yet.</summary>
    /// <param name="node">A Conv, ConvTranspose or Gemm.</param>
    /// <param name="weight">Its weight.</param>
    /// <param name="bias">Its bias; null if it has none.</param>
    /// <param name="isBiasShared">Whether other layers read the same bias tensor.</param>
    private LinearLayer(OnnxNode node, Initializer weight, Initializer? bias, bool isBiasShared)
    {
        Node = node;
        this.weight = weight;
        this.bias = bias;
        this.isBiasShared = isBiasShared;
        groups = node.Int("group", 1);
    }

    /// <summary>The Conv, ConvTranspose or Gemm.</summary>
    public OnnxNode Node { get; }

    /// <summary>Name of its weight before folding.</summary>
    public string WeightName => weight.Name;

    /// <summary>Name of its bias before folding, or null.</summary>
    public string? OwnBiasName => bias?.Name;

    /// <summary>Name of the folded weight; the original one may be shared.</summary>
    public string FoldedWeightName => $"{weight.Name}:folded";

    // Equal biases (zeros, for example) are one tensor in the file, and each layer needs its own folded bias.
    /// <summary>Name of the folded bias.</summary>
    public string FoldedBiasName => $"{(bias is null || isBiasShared ? BiasName(weight.Name) : bias.Name)}:folded";

    /// <summary>The affine function that is applied to its input.</summary>
    public ChannelAffine Before { get; private set; } = ChannelAffine.Identity;

    /// <summary>The affine function that is applied to its output.</summary>
    public ChannelAffine After { get; private set; } = ChannelAffine.Identity;

    /// <summary>The folded nodes from which <see cref="Before"/> and <see cref="After"/> were composed, for the
    /// verification.</summary>
    public List<FoldStep> Steps { get; } = [];

    /// <summary>Number of output channels.</summary>
    private int OutputChannels => (int)(Node.OpType == "ConvTranspose" ? weight.Dims[1] * groups : weight.Dims[0]);

    /// <summary>Number of input channels.</summary>
    private int InputChannels => (int)(Node.OpType == "ConvTranspose" ? weight.Dims[0] : weight.Dims[1] * groups);

    /// <summary>Whether a node is of one of the three operators.</summary>
    /// <param name="node">Any node.</param>
    public static bool Is(OnnxNode node) => node.OpType is "Conv" or "ConvTranspose" or "Gemm";

    /// <summary>Reads a layer, or returns the reason why nothing can be folded into it.</summary>
    /// <param name="graph">The graph whose constants the weights must be.</param>
    /// <param name="node">A Conv, ConvTranspose or Gemm.</param>
    public static (LinearLayer? Layer, string? Reason) Read(OnnxGraph graph, OnnxNode node)
    {
        if (!graph.Initializers.TryGetValue(node.Inputs[1], out var weight))
            return (null, $"the weight of {node.Name} is computed in forward");
        if (graph.Readers(node.Inputs[1]).FirstOrDefault(other => other != node) is { } sharer)
            return (null, $"the layer shares its weights with {sharer.Name}");
        Initializer? bias = null;
        if (node.Inputs.Count > 2 && !graph.Initializers.TryGetValue(node.Inputs[2], out bias))
            return (null, $"the bias of {node.Name} is computed in forward");
        if (weight.Type is not (ElementType.Float32 or ElementType.Float64 or ElementType.Float16))
            return (null, $"the weights of {node.Name} have type {weight.Type}");
        if (
            node.OpType == "Gemm"
            && (
                node.Int("transB", 0) != 1
                || node.Int("transA", 0) != 0
                || node.Float("alpha", 1) != 1
                || node.Float("beta", 1) != 1
                || bias is { Dims.Length: not 1 }
            )
        )
            return (null, $"{node.Name} is a Gemm with scaling (alpha, beta) or a transposed operand");
        return (new LinearLayer(node, weight, bias, bias is not null && graph.Readers(bias.Name).Skip(1).Any()), null);
    }

    /// <summary>Folds in a function of the layer's output, or returns the reason why not.</summary>
    /// <param name="affine">The node that reads the layer's output.</param>
    /// <returns>Null if it was folded in; otherwise the reason.</returns>
    public string? FoldAfter(AffineNode affine)
    {
        if (affine.Affine.Channels != 1 && affine.Affine.Channels != OutputChannels)
            return $"{Node.Name} has {OutputChannels} channels, but the norm has {affine.Affine.Channels}";
        After = After.Then(affine.Affine);
        Steps.Add(new FoldStep(IsBefore: false, affine));
        return null;
    }

    /// <summary>Folds in a function of the layer's input, or returns the reason why not.</summary>
    /// <param name="affine">The node that computes the layer's input.</param>
    /// <returns>Null if it was folded in; otherwise the reason.</returns>
    public string? FoldBefore(AffineNode affine)
    {
        if (affine.Affine.Channels != 1 && affine.Affine.Channels != InputChannels)
            return $"{Node.Name} has {InputChannels} input channels, but the norm has {affine.Affine.Channels}";
        if (!affine.Affine.ShiftsNothing)
        {
            if (Node.OpType == "ConvTranspose")
                return $"{Node.Name} after it is a transposed convolution, whose borders sum fewer terms";
            if (Node.OpType == "Conv" && Node.Ints("pads").Any(size => size != 0))
                return $"{Node.Name} after it pads with zeros, which the norm would not have shifted";
        }

        Before = affine.Affine.Then(Before);
        Steps.Add(new FoldStep(IsBefore: true, affine));
        return null;
    }

    /// <summary>Computes weight and bias with everything that was folded in, rounded once.</summary>
    /// <returns>The weight, and the bias if one is needed, under their new names.</returns>
    public Initializer[] Folded() =>
        [
            Weight() with
            {
                Name = FoldedWeightName,
                Source = null,
            },
            TensorBytes.FromDoubles(FoldedBiasName, weight.Type, [OutputChannels], Bias()),
        ];

    /// <summary>Writes the folded weight and bias into the graph.</summary>
    /// <param name="graph">The graph, changed in place.</param>
    public void Write(OnnxGraph graph)
    {
        var tensors = Folded();
        foreach (var tensor in tensors)
            graph.Initializers[tensor.Name] = tensor;
        Node.Inputs.RemoveRange(1, Node.Inputs.Count - 1);
        Node.Inputs.AddRange(tensors.Select(tensor => tensor.Name));
    }

    /// <summary>
    /// The weight with both scales, each element computed in float64 and rounded once.
    /// </summary>
    private Initializer Weight()
    {
        if (weight.Type == ElementType.Float32)
        {
            // The usual case avoids float64 arrays, which would hold a large network's weights in memory three times.
            var from = MemoryMarshal.Cast<byte, float>(weight.Data.Span);
            var bytes = new byte[weight.Data.Length];
            var to = MemoryMarshal.Cast<byte, float>(bytes.AsSpan());
            for (var index = 0; index < from.Length; index++)
                to[index] = (float)Scaled(from[index], index);
            return weight with { Data = bytes };
        }

        var values = TensorBytes.ToDoubles(weight);
        for (var index = 0; index < values.Length; index++)
            values[index] = Scaled(values[index], index);
        return TensorBytes.FromDoubles(weight.Name, weight.Type, weight.Dims, values);
    }

    /// <summary>Computes S[o] W s[i] for one element.</summary>
    /// <param name="value">The element.</param>
    /// <param name="index">Its index in C order.</param>
    private double Scaled(double value, int index)
    {
        var (output, input) = ChannelsOf(index);
        return After.ScaleOf(output) * value * Before.ScaleOf(input);
    }

    /// <summary>Computes S (c + sum over i of W t[i]) + T, in float64.</summary>
    private double[] Bias()
    {
        var sums = bias is null ? new double[OutputChannels] : TensorBytes.ToDoubles(bias);
        if (!Before.ShiftsNothing)
        {
            var values = TensorBytes.ToDoubles(weight);
            for (var index = 0; index < values.Length; index++)
            {
                var (output, input) = ChannelsOf(index);
                sums[output] += values[index] * Before.ShiftOf(input);
            }
        }

        for (var channel = 0; channel < sums.Length; channel++)
            sums[channel] = (After.ScaleOf(channel) * sums[channel]) + After.ShiftOf(channel);
        return sums;
    }

    /// <summary>
    /// Output and input channel of an element of the weight, by its index in C order.
    /// </summary>
    /// <param name="index">Index in C order, in the weight's own layout.</param>
    private (int Output, int Input) ChannelsOf(int index)
    {
        long kernel = 1;
        foreach (var size in weight.Dims.AsSpan(2))
            kernel *= size;
        long first = index / (kernel * weight.Dims[1]),
            second = index / kernel % weight.Dims[1];
        // The other side's channel: its position within the group of the first axis' channel.
        var other = (first / (weight.Dims[0] / groups) * weight.Dims[1]) + second;
        return Node.OpType == "ConvTranspose" ? ((int)other, (int)first) : ((int)first, (int)other);
    }

    /// <summary>The name of the bias that belongs to a weight: <c>conv1.bias</c> for <c>conv1.weight</c>.</summary>
    /// <param name="weight">The weight's name.</param>
    /// <returns>If the name does not end in <c>.weight</c>, the weight's name followed by <c>.bias</c>.</returns>
    private static string BiasName(string weight) =>
        weight.EndsWith(".weight", StringComparison.Ordinal) ? $"{weight[..^".weight".Length]}.bias" : $"{weight}.bias";
}

/// <summary>A function that was folded into a layer.</summary>
/// <param name="IsBefore">Whether it comes before the layer.</param>
/// <param name="Affine">The folded node, with the names of its tensors.</param>
internal sealed record FoldStep(bool IsBefore, AffineNode Affine);
