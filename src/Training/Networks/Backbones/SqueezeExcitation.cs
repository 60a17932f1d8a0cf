// s = hardsigmoid(W2 relu(W1 mean(x) + b1) + b2), one number per channel; x is multiplied by it. W1 has a quarter of
// the channels, rounded to a multiple of 8 and not down by more than a tenth.
// Source: Hu et al. 2018, "Squeeze-and-Excitation Networks"; torchvision.
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>Weights the channels by what the whole picture contains: [N, C, H, W] to the same shape.</summary>
internal sealed class SqueezeExcitation : nn.Module<Tensor, Tensor>
{
    private readonly CastingConv2d fc1;
    private readonly CastingConv2d fc2;

    /// <summary>Creates a layer with uninitialized weights.</summary>
    /// <param name="channels">Channels of the maps.</param>
    public SqueezeExcitation(int channels)
        : base(nameof(SqueezeExcitation))
    {
        fc1 = new CastingConv2d(channels, Squeezed(channels), 1);
        fc2 = new CastingConv2d(Squeezed(channels), channels, 1);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        var scale = F.relu(fc1.forward(F.adaptive_avg_pool2d(x, 1)));
        return x * F.hardsigmoid(fc2.forward(scale));
    }

    /// <summary>
    /// Channels between the two layers: a quarter, rounded as in the comment above.
    /// </summary>
    /// <param name="channels">Channels of the maps.</param>
    private static int Squeezed(int channels)
    {
        var quarter = channels / 4;
        var rounded = Math.Max(8, (quarter + 4) / 8 * 8);
        return rounded < 0.9 * quarter ? rounded + 8 : rounded;
    }
}
