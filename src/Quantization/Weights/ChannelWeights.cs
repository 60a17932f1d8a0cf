// What it does: weights in int8 with one scale a channel, zero_point 0.
// scale_c = max |w_c| / largest,  q = saturate(round_half_even(w / scale_c)),  saturated at -largest and largest:
// 127, or 63 for 7 bits Source: ONNX DequantizeLinear-13 with an axis.
namespace TorchBridge.Quantization.Weights;

/// <summary>Weights seen by channel: value i belongs to channel i / <c>inner</c> modulo the channels.</summary>
/// <param name="values">The weights.</param>
/// <param name="channels">Size of the channels' axis.</param>
/// <param name="inner">Values from one channel to the next: the product of the axes behind.</param>
internal sealed class ChannelWeights(float[] values, int channels, int inner)
{
    /// <summary>The weights, in C order.</summary>
    public IReadOnlyList<float> Values => values;

    /// <summary>The channel of a value.</summary>
    /// <param name="index">Index of a value, in C order.</param>
    public int Channel(int index) => index / inner % channels;

    /// <summary>
    /// One scale per channel: its largest magnitude over the largest integer; 1 where the weights are too small for
    /// any.
    /// </summary>
    /// <param name="largest">The largest integer: 127, or 63 for 7 bits.</param>
    /// <param name="least">Least scale of each channel; null for none.</param>
    public float[] Scales(int largest, Func<int, float>? least = null)
    {
        var most = new float[channels];
        for (var index = 0; index < values.Length; index++)
            most[Channel(index)] = Math.Max(most[Channel(index)], Math.Abs(values[index]));
        for (var channel = 0; channel < channels; channel++)
        {
            var scale = Math.Max(most[channel] / largest, least?.Invoke(channel) ?? 0);
            most[channel] = float.IsNormal(scale) ? scale : 1;
        }

        return most;
    }

    /// <summary>
    /// The integers: weights over their channel's scale, rounded half to even, saturated at both ends.
    /// </summary>
    /// <param name="scales">One scale per channel.</param>
    /// <param name="largest">The largest integer; the least is its negative.</param>
    public sbyte[] Round(float[] scales, int largest)
    {
        var integers = new sbyte[values.Length];
        for (var index = 0; index < values.Length; index++)
            integers[index] = (sbyte)
                Math.Clamp(
                    MathF.Round(values[index] / scales[Channel(index)], MidpointRounding.ToEven),
                    -largest,
                    largest
                );
        return integers;
    }
}
