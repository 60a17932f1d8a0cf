// What it does: in training, leaves out a residual branch of a sample with probability p, and divides the kept ones
// by 1 - p, so that the expected value stays the same; in eval mode it changes nothing. The mask is [N, 1, 1, 1].
// Source: Huang et al. 2016, "Deep Networks with Stochastic Depth"; scaled while training, as torchvision's `row`
// mode.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>Drops a branch for some samples: [N, C, H, W] to the same shape. The layer that reads the result must add
/// a shortcut.</summary>
internal sealed class StochasticDepth(double probability) : nn.Module<Tensor, Tensor>(nameof(StochasticDepth))
{
    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        if (!training || probability == 0)
            return x;
        var kept = rand([x.shape[0], 1, 1, 1], device: x.device).ge(probability).to(x.dtype);
        return x * (kept / (1 - probability));
    }
}
