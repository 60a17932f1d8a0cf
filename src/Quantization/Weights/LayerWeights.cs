// What it does: quantizes a layer's weights to int8 with one scale per output channel, and its bias to int32 at the
// scale of the products.
//   bias_q  = round_half_even(b / (scale_x scale_c))
// Rounding shifts the mean of each output channel by the sum of (w - w') E[x]; bias correction, if enabled, cancels
// that shift. Source: Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
// section 4.2.
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Weights;

/// <summary>The weights and the bias of a Conv, Gemm or MatMul.</summary>
internal sealed class LayerWeights
{
    /// <summary>The weights by output channel.</summary>
    private readonly ChannelWeights weights;

    /// <summary>Shape of the weight tensor.</summary>
    private readonly long[] dims;

    /// <summary>The bias, one value per output channel; null if the layer has none.</summary>
    private readonly float[]? bias;

    /// <summary>Groups of a Conv; 1 for other layers.</summary>
    private readonly int groups;

    /// <summary>Reads a layer's weights and bias.</summary>
    /// <param name="model">The float model.</param>
    /// <param name="layer">A Conv, Gemm or MatMul whose weight and bias, if any, are float32 initializers.</param>
    public LayerWeights(OnnxGraph model, OnnxNode layer)
    {
        var tensor = model.Initializers[layer.Inputs[1]];
        dims = [.. tensor.Dims];
        bias =
            layer.Inputs.Count > 2 && layer.Inputs[2].Length > 0 ? model.Initializers[layer.Inputs[2]].Floats() : null;
        Axis = layer.StandardType == "Conv" || (layer.StandardType == "Gemm" && layer.Int("transB", 0) != 0) ? 0 : 1;
        Channels = (int)dims[Axis];
        groups = layer.StandardType == "Conv" ? (int)layer.Int("group", 1) : 1;
        weights = new ChannelWeights(
            tensor.Floats(),
            Channels,
            (int)dims.Skip(Axis + 1).Aggregate(1L, (product, size) => product * size)
        );
    }

    /// <summary>Axis of the output channels.</summary>
    public int Axis { get; }

    /// <summary>Number of output channels.</summary>
    public int Channels { get; }

    /// <summary>One scale per output channel, once <see cref="Quantize"/> has run.</summary>
    public float[] Scales { get; private set; } = [];

    /// <summary>Quantizes weights and bias.</summary>
    /// <param name="inputScale">Scale of the layer's input.</param>
    /// <param name="bits">Bits of the weights, 7 or 8.</param>
    /// <param name="inputMeans">Mean of each input channel, for bias correction; null to leave the bias
    /// unchanged.</param>
    /// <param name="name">Name of the weight tensor.</param>
    /// <param name="biasName">Name of the bias tensor.</param>
    /// <returns>The weights, and the bias if there is one.</returns>
    public (Initializer Weights, Initializer? Bias) Quantize(
        float inputScale,
        int bits,
        double[]? inputMeans,
        string name,
        string biasName
    )
    {
        var largest = bits == 8 ? 127 : 63;
        // A large bias on tiny weights must fit into 32 bits, with headroom for the sum that is added to it.
        Scales = weights.Scales(
            largest,
            bias is null ? null : c => (float)(Math.Abs(bias[c]) / ((double)inputScale * (1 << 30)))
        );
        var integers = weights.Round(Scales, largest);
        var tensor = Initializer.Of<sbyte>(name, ElementType.Int8, integers, dims);
        if (bias is null && inputMeans is null)
            return (tensor, null);
        var shifted = new double[Channels];
        for (var channel = 0; channel < Channels; channel++)
            shifted[channel] = bias?[channel] ?? 0;
        if (inputMeans is not null)
        {
            for (var index = 0; index < integers.Length; index++)
            {
                var output = weights.Channel(index);
                shifted[output] +=
                    (weights.Values[index] - (integers[index] * (double)Scales[output]))
                    * inputMeans[InputChannel(index, output)];
            }
        }

        var biases = new int[Channels];
        for (var channel = 0; channel < Channels; channel++)
            biases[channel] = (int)
                Math.Clamp(
                    Math.Round(shifted[channel] / ((double)inputScale * Scales[channel]), MidpointRounding.ToEven),
                    int.MinValue,
                    int.MaxValue
                );
        return (tensor, Initializer.Of<int>(biasName, ElementType.Int32, biases, Channels));
    }

    /// <summary>The input channel that weight <paramref name="index"/> of output channel <paramref name="channel"/>
    /// is multiplied with.</summary>
    private int InputChannel(int index, int channel)
    {
        if (Axis == 1)
            return index / Channels;
        // [out, in / groups, kernel]: a group of outputs reads its own inputs.
        var window = dims.Length > 2 ? (int)dims.Skip(2).Aggregate(1L, (product, size) => product * size) : 1;
        var inputs = (int)dims[1];
        return (channel / (Channels / groups) * inputs) + (index / window % inputs);
    }
}
