// Why: bfloat16 halves the memory traffic of a convolution and, where the processor has the instructions, doubles its
// arithmetic; but small updates of a weight would be lost in its 8 bits of mantissa. So the weight stays float32, the
// optimizer's, and is cast for each forward pass; autograd casts its gradient back. With float32 inputs nothing is
// cast. Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.1.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>A convolution with float32 weights that computes in the dtype of its input: [N, in, H, W] to [N, out, H',
/// W']. State-dict keys are Conv2d's.</summary>
internal sealed class CastingConv2d : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly long[] stride;
    private readonly long[] padding;
    private readonly long groups;

    /// <summary>Makes a convolution whose weights are yet to be initialized.</summary>
    /// <param name="from">Channels in.</param>
    /// <param name="to">Channels out.</param>
    /// <param name="kernel">Height and width of the kernel.</param>
    /// <param name="stride">Step.</param>
    /// <param name="padding">Zeros around the picture.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="groups">Groups of channels that do not see each other; as many as channels is depthwise.</param>
    public CastingConv2d(
        int from,
        int to,
        int kernel,
        int stride = 1,
        int padding = 0,
        bool bias = true,
        int groups = 1
    )
        : base(nameof(CastingConv2d))
    {
        weight = new Parameter(zeros(to, from / groups, kernel, kernel));
        this.bias = bias ? new Parameter(zeros(to)) : null;
        this.stride = [stride, stride];
        this.padding = [padding, padding];
        this.groups = groups;
        RegisterComponents();
    }

    /// <summary>[out, in / groups, kernel, kernel], float32.</summary>
    public Parameter Weight => weight;

    /// <summary>[out], float32, or null.</summary>
    public Parameter? Bias => bias;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) =>
        F.conv2d(x, Like(weight, x), bias is null ? null : Like(bias, x), stride, padding, groups: groups);

    private static Tensor Like(Tensor parameter, Tensor x) =>
        parameter.dtype == x.dtype ? parameter : parameter.to(x.dtype);
}
