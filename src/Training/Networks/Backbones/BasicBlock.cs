using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>Two 3x3 convolutions and a shortcut: [N, from, H, W] to [N, channels, H / stride, W / stride].</summary>
internal sealed class BasicBlock : nn.Module<Tensor, Tensor>
{
    private readonly CastingConv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly CastingConv2d conv2;
    private readonly BatchNorm2d bn2;
    private readonly Sequential? downsample;

    /// <summary>Creates a block with uninitialized weights.</summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="channels">Channels of the output.</param>
    /// <param name="stride">1, or 2 to halve height and width.</param>
    public BasicBlock(int from, int channels, int stride)
        : base(nameof(BasicBlock))
    {
        conv1 = new CastingConv2d(from, channels, 3, stride, padding: 1, bias: false);
        bn1 = nn.BatchNorm2d(channels);
        conv2 = new CastingConv2d(channels, channels, 3, padding: 1, bias: false);
        bn2 = nn.BatchNorm2d(channels);
        downsample = Shortcut(from, channels, stride);
        RegisterComponents();
    }

    /// <summary>
    /// Projects a block's input to the shape of its output: a 1x1 convolution and a norm, or nothing.
    /// </summary>
    /// <param name="from">Channels of the input.</param>
    /// <param name="to">Channels of the output.</param>
    /// <param name="stride">The block's stride.</param>
    /// <returns>Null where input and output have the same shape; the input itself is then added.</returns>
    internal static Sequential? Shortcut(int from, int to, int stride) =>
        from == to && stride == 1
            ? null
            : nn.Sequential(("0", new CastingConv2d(from, to, 1, stride, bias: false)), ("1", nn.BatchNorm2d(to)));

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        var branch = F.relu(bn1.forward(conv1.forward(x)));
        branch = bn2.forward(conv2.forward(branch));
        return F.relu(branch + (downsample is null ? x : downsample.forward(x)));
    }
}
