// What it does: quantizes weights to int8 with one scale per channel and zero_point 0.
//   scale_c = max |w_c| / largest,  q = saturate(round_half_even(w / scale_c))
// saturated at -largest and largest, which is 127, or 63 for 7 bits. Source: ONNX DequantizeLinear-13 with an axis.
namespace TorchBridge.Quantization.Weights;

/// <summary>Weights by channel: value i belongs to channel i / <c>inner</c> modulo the channels.</summary>
/// <param name="values">The weights.</param>
/// <param name="channels">Size of the channel axis.</param>
/// <param name="inner">Number of values from one channel to the next: the product of the sizes of the axes after
/// it.</param>
internal sealed class ChannelWeights(float[] values, int channels, int inner)
{
    /// <summary>The weights, in C order.</summary>
    public IReadOnlyList<float> Values => values;

    /// <summary>The channel of a value.</summary>
    /// <param name="index">Index of a value, in C order.</param>
    public int Channel(int index) => index / inner % channels;

    /// <summary>
    /// One scale per channel: its largest magnitude divided by the largest integer; 1 if the weights are too small.
    /// </summary>
    /// <param name="largest">The largest integer: 127, or 63 for 7 bits.</param>
    /// <param name="least">Smallest allowed scale of each channel; null for no limit.</param>
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
    /// The integers: weights divided by their channel's scale, rounded half to even, saturated at both ends.
    /// </summary>
    /// <param name="scales">One scale per channel.</param>
    /// <param name="largest">The largest integer; the smallest is its negative.</param>
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
