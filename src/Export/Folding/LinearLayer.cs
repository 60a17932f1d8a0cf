// A layer that is linear in its channels, with what has been folded into it so far. In float64, rounded once, when
// all is known:
//
//   layer              y = W x + c
//   affine after it    z = S y + T      gives W'[o, i] = S[o] W[o, i],  c' = S c + T
//   affine before it   x = s u + t      gives W'[o, i] = W[o, i] s[i],  c'[o] = c[o] + sum_i,k W[o, i, k] t[i]
//
// Layouts, where o is the output and i the input channel:
//   Conv           W[o, in/groups, k...]     o is axis 0; i = group of o x in/groups + axis 1
//   ConvTranspose  W[i, out/groups, k...]    i is axis 0; o = group of i x out/groups + axis 1
// Gemm (transB)  W[o, i]                   alpha = 1, beta = 1, as the exporter writes it; others are refused A shift
// before a padded convolution is not exact: the zeros of the padding are not shifted. Before a ConvTranspose it is
// not either: its borders see fewer terms of the sum. Source: Ioffe & Szegedy 2015, section 3.1; PyTorch
// torch.nn.utils.fusion.fuse_conv_bn_weights.
using System.Runtime.InteropServices;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Export.Folding;

/// <summary>A Conv, ConvTranspose or Gemm with constant weights, and the affine functions that are to go into
/// it.</summary>
internal sealed class LinearLayer
{
    /// <summary>The layer's own weight, before folding.</summary>
    private readonly Initializer weight;

    /// <summary>The layer's own bias, before folding; null where it has none.</summary>
    private readonly Initializer? bias;

    /// <summary>Groups of channels that do not mix; 1 for a Gemm.</summary>
    private readonly long groups;

    /// <summary>Whether other layers read the same bias tensor, whose name the folded one then cannot have.</summary>
    private readonly bool isBiasShared;

    /// <summary>A layer with nothing folded into it yet.</summary>
    /// <param name="node">A Conv, ConvTranspose or Gemm.</param>
    /// <param name="weight">Its weight.</param>
    /// <param name="bias">Its bias; null where it has none.</param>
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

    /// <summary>Name of its own weight, before folding.</summary>
    public string WeightName => weight.Name;

    /// <summary>Name of its own bias, or null.</summary>
    public string? OwnBiasName => bias?.Name;

    /// <summary>Name of the weight that folding makes; the own one may be shared.</summary>
    public string FoldedWeightName => $"{weight.Name}:folded";

    // Equal biases are one tensor of the file (zeros, say), and each layer folds into its own.
    /// <summary>Name of the bias that folding makes.</summary>
    public string FoldedBiasName => $"{(bias is null || isBiasShared ? BiasName(weight.Name) : bias.Name)}:folded";

    /// <summary>What happens to its input.</summary>
    public ChannelAffine Before { get; private set; } = ChannelAffine.Identity;

    /// <summary>What happens to its output.</summary>
    public ChannelAffine After { get; private set; } = ChannelAffine.Identity;

    /// <summary>Where <see cref="Before"/> and <see cref="After"/> come from, for the verification.</summary>
    public List<FoldStep> Steps { get; } = [];

    /// <summary>Channels of the result.</summary>
    private int OutputChannels => (int)(Node.OpType == "ConvTranspose" ? weight.Dims[1] * groups : weight.Dims[0]);

    /// <summary>Channels of the input.</summary>
    private int InputChannels => (int)(Node.OpType == "ConvTranspose" ? weight.Dims[0] : weight.Dims[1] * groups);

    /// <summary>Whether a node is of one of the three operators.</summary>
    /// <param name="node">Any node.</param>
    public static bool Is(OnnxNode node) => node.OpType is "Conv" or "ConvTranspose" or "Gemm";

    /// <summary>Reads a layer, or says why nothing can be folded into it.</summary>
    /// <param name="graph">Whose constants the weights must be.</param>
    /// <param name="node">A Conv, ConvTranspose or Gemm.</param>
    public static (LinearLayer? Layer, string? Reason) Read(OnnxGraph graph, OnnxNode node)
    {
        if (!graph.Initializers.TryGetValue(node.Inputs[1], out var weight))
            return (null, $"the weight of {node.Name} is computed in forward");
        if (graph.Readers(node.Inputs[1]).FirstOrDefault(other => other != node) is { } sharer)
            return (null, $"weights shared with {sharer.Name}");
        Initializer? bias = null;
        if (node.Inputs.Count > 2 && !graph.Initializers.TryGetValue(node.Inputs[2], out bias))
            return (null, $"the bias of {node.Name} is computed in forward");
        if (weight.Type is not (ElementType.Float32 or ElementType.Float64 or ElementType.Float16))
            return (null, $"the weights of {node.Name} are {weight.Type}");
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
            return (null, $"{node.Name} is a scaled or transposed Gemm");
        return (new LinearLayer(node, weight, bias, bias is not null && graph.Readers(bias.Name).Skip(1).Any()), null);
    }

    /// <summary>Takes a function of the layer's output, or says why not.</summary>
    /// <param name="affine">What reads the layer's result.</param>
    /// <returns>Null where it was taken.</returns>
    public string? FoldAfter(AffineNode affine)
    {
        if (affine.Affine.Channels != 1 && affine.Affine.Channels != OutputChannels)
            return $"{Node.Name} has {OutputChannels} channels, and it has {affine.Affine.Channels}";
        After = After.Then(affine.Affine);
        Steps.Add(new FoldStep(IsBefore: false, affine));
        return null;
    }

    /// <summary>Takes a function of the layer's input, or says why not.</summary>
    /// <param name="affine">What makes the layer's input.</param>
    /// <returns>Null where it was taken.</returns>
    public string? FoldBefore(AffineNode affine)
    {
        if (affine.Affine.Channels != 1 && affine.Affine.Channels != InputChannels)
            return $"{Node.Name} has {InputChannels} input channels, and it has {affine.Affine.Channels}";
        if (!affine.Affine.ShiftsNothing)
        {
            if (Node.OpType == "ConvTranspose")
                return $"{Node.Name} after it is transposed: its borders see fewer terms";
            if (Node.OpType == "Conv" && Node.Ints("pads").Any(size => size != 0))
                return $"{Node.Name} after it pads with zeros that it does not shift";
        }

        Before = affine.Affine.Then(Before);
        Steps.Add(new FoldStep(IsBefore: true, affine));
        return null;
    }

    /// <summary>Weight and bias with everything that was folded in, rounded once.</summary>
    /// <returns>The weight, and the bias where one is needed, under their new names.</returns>
    public Initializer[] Folded() =>
        [
            Weight() with
            {
                Name = FoldedWeightName,
                Source = null,
            },
            TensorBytes.FromDoubles(FoldedBiasName, weight.Type, [OutputChannels], Bias()),
        ];

    /// <summary>Writes them into the graph.</summary>
    /// <param name="graph">Changed in place.</param>
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
            // The usual case without arrays of float64: a large network's weights would stand in memory three times.
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

    /// <summary>S[o] W s[i] of one element.</summary>
    /// <param name="value">The element.</param>
    /// <param name="index">Its place in C order.</param>
    private double Scaled(double value, int index)
    {
        var (output, input) = ChannelsOf(index);
        return After.ScaleOf(output) * value * Before.ScaleOf(input);
    }

    /// <summary>S (c + sum over i of W t[i]) + T, in float64.</summary>
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
    /// Output and input channel of an element of the weight, by its place in C order.
    /// </summary>
    /// <param name="index">Place in C order, in the weight's own layout.</param>
    private (int Output, int Input) ChannelsOf(int index)
    {
        long kernel = 1;
        foreach (var size in weight.Dims.AsSpan(2))
            kernel *= size;
        long first = index / (kernel * weight.Dims[1]),
            second = index / kernel % weight.Dims[1];
        // The other side's channel: its place within the group of the first axis' channel.
        var other = (first / (weight.Dims[0] / groups) * weight.Dims[1]) + second;
        return Node.OpType == "ConvTranspose" ? ((int)other, (int)first) : ((int)first, (int)other);
    }

    /// <summary><c>conv1.bias</c> of <c>conv1.weight</c>.</summary>
    /// <param name="weight">The weight's name.</param>
    /// <returns>The weight's name with <c>.bias</c> behind it where it does not end in <c>.weight</c>.</returns>
    private static string BiasName(string weight) =>
        weight.EndsWith(".weight", StringComparison.Ordinal) ? $"{weight[..^".weight".Length]}.bias" : $"{weight}.bias";
}

/// <summary>A function that was folded into a layer.</summary>
/// <param name="IsBefore">Whether it stood before the layer.</param>
/// <param name="Affine">The node that it was, with the names of its tensors.</param>
internal sealed record FoldStep(bool IsBefore, AffineNode Affine);
