// BatchNorm written out. For each channel, over the batch and all positions (m values):
//   train mode:  mu = sum x / m,  var = sum (x - mu)^2 / m,  y = weight (x - mu) / sqrt(var + eps) + bias
//                running_mean <- (1 - momentum) running_mean + momentum mu
//                running_var  <- (1 - momentum) running_var  + momentum var m / (m - 1)      unbiased, as in PyTorch
//   eval mode:   y = weight (x - running_mean) / sqrt(running_var + eps) + bias
// Gradients are autograd's. Source: Ioffe & Szegedy 2015, "Batch Normalization", algorithms 1 and 2.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks;

/// <summary>BatchNorm1d and BatchNorm2d from tensor operations: [N, C], [N, C, L] or [N, C, H, W] to the same shape.
/// State-dict keys are those of the library's layer.</summary>
internal sealed class ScratchBatchNorm : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly Parameter bias;
    private readonly Tensor running_mean;
    private readonly Tensor running_var;
    private readonly Tensor num_batches_tracked;
    private readonly double eps;
    private readonly double momentum;

    /// <summary>Creates a layer with weight 1, bias 0, running mean 0, running variance 1.</summary>
    /// <param name="channels">Channels of the input.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="momentum">Weight of the newest batch in the running statistics.</param>
    public ScratchBatchNorm(int channels, double eps = 1e-5, double momentum = 0.1)
        : base(nameof(ScratchBatchNorm))
    {
        (this.eps, this.momentum) = (eps, momentum);
        weight = new Parameter(ones(channels));
        bias = new Parameter(zeros(channels));
        running_mean = zeros(channels);
        running_var = ones(channels);
        num_batches_tracked = zeros([], ScalarType.Int64);
        RegisterComponents();
    }

    /// <summary>Whether <c>running_var</c> accumulates the biased variance, as the lesson's version does; PyTorch
    /// accumulates the unbiased one.</summary>
    public bool KeepsBiasedVariance { get; set; }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        // As in the library: statistics and weights are float32, whatever the data type of the maps.
        if (x.dtype != weight.dtype)
            return forward(x.to(weight.dtype)).to(x.dtype);
        var shape = Enumerable.Range(0, (int)x.dim()).Select(axis => axis == 1 ? x.size(1) : 1L).ToArray();
        if (!training)
            return Affine(x, running_mean.view(shape), running_var.view(shape), shape);
        var axes = Enumerable.Range(0, (int)x.dim()).Where(axis => axis != 1).Select(axis => (long)axis).ToArray();
        var mean = x.mean(axes, keepdim: true);
        var variance = (x - mean).square().mean(axes, keepdim: true);
        Track(mean, variance, (double)x.numel() / x.size(1));
        return Affine(x, mean, variance, shape);
    }

    /// <summary>Normalizes, and applies weight and bias.</summary>
    /// <param name="x">The input.</param>
    /// <param name="mean">One number per channel.</param>
    /// <param name="variance">One number per channel, biased.</param>
    /// <param name="shape">Shape for broadcasting: the channels on axis 1, every other axis 1.</param>
    private Tensor Affine(Tensor x, Tensor mean, Tensor variance, long[] shape) =>
        ((x - mean) / (variance + eps).sqrt() * weight.view(shape)) + bias.view(shape);

    /// <summary>Moves the running statistics towards a batch's.</summary>
    /// <param name="mean">The batch's mean, one number per channel.</param>
    /// <param name="variance">The batch's biased variance.</param>
    /// <param name="count">How many values each was computed from.</param>
    private void Track(Tensor mean, Tensor variance, double count)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        running_mean.mul_(1 - momentum).add_(mean.detach().flatten() * momentum);
        running_var
            .mul_(1 - momentum)
            .add_(variance.detach().flatten() * (momentum * (KeepsBiasedVariance ? 1 : count / (count - 1))));
        num_batches_tracked.add_(1);
    }
}
