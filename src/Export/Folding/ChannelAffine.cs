using TorchBridge.Export.Onnx;

namespace TorchBridge.Export.Folding;

/// <summary>z = Scale[c] y + Shift[c], per channel, in float64.</summary>
/// <param name="Scale">One a channel.</param>
/// <param name="Shift">One a channel.</param>
internal sealed record ChannelAffine(double[] Scale, double[] Shift)
{
    /// <summary>What a BatchNorm is in eval mode: scale = g / sqrt(v + eps), shift = b - m scale.</summary>
    /// <param name="parameters">weight, bias, running_mean, running_var.</param>
    /// <param name="eps">Added to the variance inside the root.</param>
    public static ChannelAffine OfBatchNorm(Initializer[] parameters, float eps)
    {
        double[] g = TensorBytes.ToDoubles(parameters[0]), b = TensorBytes.ToDoubles(parameters[1]), m = TensorBytes.ToDoubles(parameters[2]), v = TensorBytes.ToDoubles(parameters[3]);
        var scale = new double[g.Length];
        var shift = new double[g.Length];
        for (var i = 0; i < g.Length; i++)
        {
            scale[i] = g[i] / Math.Sqrt(v[i] + eps);
            shift[i] = b[i] - (m[i] * scale[i]);
        }

        return new ChannelAffine(scale, shift);
    }
}
