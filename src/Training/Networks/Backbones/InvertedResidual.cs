using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>1x1 expansion, depthwise convolution, squeeze-and-excitation, 1x1 projection; the input is added where
/// the shapes are equal. [N, from, H, W] to [N, channels, H', W'].</summary>
internal sealed class InvertedResidual : nn.Module<Tensor, Tensor>
{
    private readonly Sequential block;
    private readonly bool isResidual;

    /// <summary>Creates a block with uninitialized weights.</summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="shape">A row of the paper's tables.</param>
    public InvertedResidual(int from, InvertedResidualShape shape)
        : base(nameof(InvertedResidual))
    {
        isResidual = shape.Stride == 1 && from == shape.Channels;
        nn.Module<Tensor, Tensor> Activation() => shape.IsHardSwish ? nn.Hardswish() : nn.ReLU();
        var parts = new List<nn.Module<Tensor, Tensor>>();
        if (shape.Expanded != from)
            parts.Add(MobileNetV3.ConvNorm(from, shape.Expanded, 1, 1, 1, Activation()));
        parts.Add(
            MobileNetV3.ConvNorm(
                shape.Expanded,
                shape.Expanded,
                shape.Kernel,
                shape.Stride,
                shape.Expanded,
                Activation()
            )
        );
        if (shape.Squeezes)
            parts.Add(new SqueezeExcitation(shape.Expanded));
        parts.Add(MobileNetV3.ConvNorm(shape.Expanded, shape.Channels, 1, 1, 1, null));
        block = nn.Sequential(parts.Select((part, i) => ($"{i}", part)));
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x) => isResidual ? block.forward(x) + x : block.forward(x);
}
