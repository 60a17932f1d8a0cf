using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>Creates the normalization layer after a convolution.</summary>
internal static class NormLayer
{
    private const int Groups = 8;

    /// <summary>Creates a layer for maps [N, channels, height, width]; LayerNorm takes its shape from the
    /// map.</summary>
    /// <param name="kind">Kind of normalization; <c>None</c> is the identity.</param>
    /// <param name="channels">Channels of the map.</param>
    /// <param name="height">Height of the map.</param>
    /// <param name="width">Width of the map.</param>
    public static nn.Module<Tensor, Tensor> Make(NormKind kind, int channels, int height, int width) =>
        kind switch
        {
            NormKind.Batch => nn.BatchNorm2d(channels),
            NormKind.Layer => nn.LayerNorm([channels, height, width]),
            NormKind.Group => Group(Math.Min(Groups, channels), channels),
            NormKind.Instance => nn.InstanceNorm2d(channels),
            NormKind.None => nn.Identity(),
            NormKind.BatchFromScratch => new ScratchBatchNorm(channels),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown normalization"),
        };

    /// <summary>GroupNorm with weight 1 and bias 0: TorchSharp 0.107 leaves both uninitialized.</summary>
    /// <param name="groups">Number of groups; must divide the channels.</param>
    /// <param name="channels">Channels of the map.</param>
    public static nn.Module<Tensor, Tensor> Group(int groups, int channels)
    {
        var norm = nn.GroupNorm(groups, channels);
        nn.init.ones_(norm.weight!);
        nn.init.zeros_(norm.bias!);
        return norm;
    }
}
