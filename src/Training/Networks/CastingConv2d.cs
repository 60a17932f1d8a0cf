// Why: bfloat16 halves the memory traffic of a convolution and, where the processor has the instructions, doubles its
// arithmetic; but small updates of a weight would be lost in its 8 bits of mantissa. So the weight that the optimizer
// updates stays float32 and is cast for each forward pass; autograd casts its gradient back. With float32 inputs
// nothing is cast. One workaround: oneDNN's backward pass of a 1x1 convolution with a stride writes beyond its buffer
// where there are fewer input channels than the processor's block (16 with AVX-512), two threads and an odd batch
// ("double free"). The same convolution without a stride, over every second pixel, is correct everywhere;
// uxlfoundation/oneDNN#6035. Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.1.
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>A convolution with float32 weights that computes in the dtype of its input: [N, in, H, W] to [N, out, H',
/// W']. State-dict keys are Conv2d's.</summary>
internal sealed class CastingConv2d : nn.Module<Tensor, Tensor>
{
    private const int LargestBlock = 16;
    private readonly Parameter weight;
    private readonly Parameter? bias;
    private readonly long[] stride;
    private readonly long[] padding;
    private readonly long groups;
    private readonly bool isFragile;

    /// <summary>Creates a convolution with uninitialized weights.</summary>
    /// <param name="from">Input channels.</param>
    /// <param name="to">Output channels.</param>
    /// <param name="kernel">Height and width of the kernel.</param>
    /// <param name="stride">Stride.</param>
    /// <param name="padding">Zero padding on every side.</param>
    /// <param name="bias">Whether a bias is added.</param>
    /// <param name="groups">Groups of channels that are convolved separately; as many groups as channels is
    /// depthwise.</param>
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
        isFragile = kernel == 1 && stride > 1 && from / groups < LargestBlock;
        RegisterComponents();
    }

    /// <summary>Whether the weights whiten patches. Their scale is significant, so no rule that constrains norms may
    /// change them.</summary>
    public bool IsWhitening { get; init; }

    /// <summary>[out, in / groups, kernel, kernel], float32.</summary>
    public Parameter Weight => weight;

    /// <summary>[out], float32, or null.</summary>
    public Parameter? Bias => bias;

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        // Only training has a backward pass; the exported convolution has the stride.
        var isDetour = isFragile && training;
        var input = isDetour ? x.slice(2, 0, x.shape[2], stride[0]).slice(3, 0, x.shape[3], stride[1]) : x;
        return F.conv2d(
            input,
            Like(weight, x),
            bias is null ? null : Like(bias, x),
            isDetour ? [1, 1] : stride,
            padding,
            groups: groups
        );
    }

    /// <summary>
    /// A parameter cast to the dtype of the input; autograd casts its gradient back.
    /// </summary>
    /// <param name="parameter">Float32.</param>
    /// <param name="x">The input.</param>
    private static Tensor Like(Tensor parameter, Tensor x) =>
        parameter.dtype == x.dtype ? parameter : parameter.to(x.dtype);
}
