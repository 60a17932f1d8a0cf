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
    public IReadOnlyList<float> Values => values;

    /// <summary>The channel of a value.</summary>
    public int Channel(int index) => index / inner % channels;

    /// <summary>One scale a channel; 1 where the weights are too small for any.</summary>
    /// <param name="largest">The largest integer.</param>
    /// <param name="least">Least scale of each channel; null for none.</param>
    public float[] Scales(int largest, Func<int, float>? least = null)
    {
        var most = new float[channels];
        for (var i = 0; i < values.Length; i++)
            most[Channel(i)] = Math.Max(most[Channel(i)], Math.Abs(values[i]));
        for (var c = 0; c < channels; c++)
        {
            var scale = Math.Max(most[c] / largest, least?.Invoke(c) ?? 0);
            most[c] = float.IsNormal(scale) ? scale : 1;
        }

        return most;
    }

    /// <summary>The integers.</summary>
    public sbyte[] Round(float[] scales, int largest)
    {
        var integers = new sbyte[values.Length];
        for (var i = 0; i < values.Length; i++)
            integers[i] = (sbyte)
                Math.Clamp(MathF.Round(values[i] / scales[Channel(i)], MidpointRounding.ToEven), -largest, largest);
        return integers;
    }
}
