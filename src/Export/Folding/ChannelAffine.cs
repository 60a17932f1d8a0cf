namespace TorchBridge.Export.Folding;

/// <summary>z = Scale[c] y + Shift[c], per channel, in float64. A single element applies to every channel.</summary>
/// <param name="Scale">One factor per channel, or one for all.</param>
/// <param name="Shift">One summand per channel, or one for all.</param>
internal sealed record ChannelAffine(double[] Scale, double[] Shift)
{
    /// <summary>z = y</summary>
    public static ChannelAffine Identity { get; } = new([1], [0]);

    /// <summary>Number of channels; 1 if it is the same for all.</summary>
    public int Channels => Math.Max(Scale.Length, Shift.Length);

    /// <summary>Whether every shift is zero, so that the zeros of a padding stay zeros.</summary>
    public bool ShiftsNothing => Shift.All(value => value == 0);

    /// <summary>The factor of a channel.</summary>
    /// <param name="channel">Index of the channel, from 0.</param>
    public double ScaleOf(int channel) => Scale[Scale.Length == 1 ? 0 : channel];

    /// <summary>The summand of a channel.</summary>
    /// <param name="channel">Index of the channel, from 0.</param>
    public double ShiftOf(int channel) => Shift[Shift.Length == 1 ? 0 : channel];

    /// <summary>The affine function of a BatchNorm in eval mode: scale = g / sqrt(v + eps), shift = b - m
    /// scale.</summary>
    /// <param name="g">weight</param>
    /// <param name="b">bias</param>
    /// <param name="m">running_mean</param>
    /// <param name="v">running_var, unbiased as BatchNorm keeps it</param>
    /// <param name="eps">Added to the variance inside the root.</param>
    public static ChannelAffine OfBatchNorm(double[] g, double[] b, double[] m, double[] v, float eps)
    {
        var scale = new double[g.Length];
        var shift = new double[g.Length];
        for (var index = 0; index < g.Length; index++)
        {
            scale[index] = g[index] / Math.Sqrt(v[index] + eps);
            shift[index] = b[index] - (m[index] * scale[index]);
        }

        return new ChannelAffine(scale, shift);
    }

    /// <summary>Composes this function with the next one.</summary>
    /// <param name="next">The function that is applied to the result of this one.</param>
    /// <returns>The composition; one element per channel if either function has as many.</returns>
    public ChannelAffine Then(ChannelAffine next)
    {
        var channels = Math.Max(Channels, next.Channels);
        var scale = new double[channels];
        var shift = new double[channels];
        for (var channel = 0; channel < channels; channel++)
        {
            scale[channel] = next.ScaleOf(channel) * ScaleOf(channel);
            shift[channel] = (next.ScaleOf(channel) * ShiftOf(channel)) + next.ShiftOf(channel);
        }

        return new ChannelAffine(scale, shift);
    }
}
