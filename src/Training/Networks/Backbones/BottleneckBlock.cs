using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>1x1, 3x3 and 1x1 convolutions and a shortcut: [N, from, H, W] to [N, 4 x channels, H / stride, W /
/// stride].</summary>
internal sealed class BottleneckBlock : nn.Module<Tensor, Tensor>
{
    private readonly CastingConv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly CastingConv2d conv2;
    private readonly BatchNorm2d bn2;
    private readonly CastingConv2d conv3;
    private readonly BatchNorm2d bn3;
    private readonly Sequential? downsample;

    /// <summary>Creates a block with uninitialized weights.</summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="channels">Channels of the inner convolutions; the output has four times as many.</param>
    /// <param name="stride">1, or 2 to halve height and width.</param>
    public BottleneckBlock(int from, int channels, int stride)
        : base(nameof(BottleneckBlock))
    {
        conv1 = new CastingConv2d(from, channels, 1, bias: false);
        bn1 = nn.BatchNorm2d(channels);
        conv2 = new CastingConv2d(channels, channels, 3, stride, padding: 1, bias: false);
        bn2 = nn.BatchNorm2d(channels);
        conv3 = new CastingConv2d(channels, 4 * channels, 1, bias: false);
        bn3 = nn.BatchNorm2d(4 * channels);
        downsample = BasicBlock.Shortcut(from, 4 * channels, stride);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        var branch = F.relu(bn1.forward(conv1.forward(x)));
        branch = F.relu(bn2.forward(conv2.forward(branch)));
        branch = bn3.forward(conv3.forward(branch));
        return F.relu(branch + (downsample is null ? x : downsample.forward(x)));
    }
}
