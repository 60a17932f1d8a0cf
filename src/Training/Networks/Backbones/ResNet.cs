// conv 7x7 stride 2, BatchNorm, ReLU, max pool 3x3 stride 2; four stages of residual blocks, the last three of which
// halve the maps and double the channels; global average pool; linear.
//   basic block   3x3 (stride) - 3x3                      18 and 34 layers
//   bottleneck    1x1 - 3x3 (stride) - 1x1, 4 x channels  50 layers; the 3x3 has the stride, as in torchvision
//                                                         ("ResNet v1.5")
// Sources: He et al. 2016, "Deep Residual Learning for Image Recognition", table 1; torchvision/models/resnet.py for
// the keys.
using TorchBridge.Training.Networks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks.Backbones;

/// <summary>ResNet-18, -34 and -50. Field names are torchvision's state-dict keys: <c>conv1</c>,
/// <c>layer1.0.conv1</c>, <c>layer2.0.downsample.0</c>, <c>fc</c>.</summary>
internal sealed class ResNet : ImageNetwork
{
    private readonly CastingConv2d conv1;
    private readonly BatchNorm2d bn1;
    private readonly Sequential layer1;
    private readonly Sequential layer2;
    private readonly Sequential layer3;
    private readonly Sequential layer4;
    private readonly Dropout dropout;
    private readonly Linear fc;

    /// <summary>Builds and initializes the network; the weights follow from torch's random state.</summary>
    /// <param name="options">18, 34 or 50 layers, the classes, the dropout, and the number of blocks in the last
    /// stage.</param>
    public ResNet(NetworkOptions options)
        : base(nameof(ResNet))
    {
        int[] depths = options.Kind == NetworkKind.Resnet18 ? [2, 2, 2, 2] : [3, 4, 6, 3];
        var isBottleneck = options.Kind == NetworkKind.Resnet50;
        var width = isBottleneck ? 4 : 1;
        conv1 = new CastingConv2d(3, 64, 7, stride: 2, padding: 3, bias: false);
        bn1 = nn.BatchNorm2d(64);
        layer1 = Stage(isBottleneck, 64, 64, depths[0], 1);
        layer2 = Stage(isBottleneck, 64 * width, 128, depths[1], 2);
        layer3 = Stage(isBottleneck, 128 * width, 256, depths[2], 2);
        layer4 = Stage(isBottleneck, 256 * width, 512, options.LastStageBlocks ?? depths[3], 2);
        dropout = nn.Dropout(options.Dropout);
        fc = nn.Linear(512 * width, options.Classes);
        RegisterComponents();
        WeightInitialization.Apply(this, options.Initialization);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Stages => ["conv1 bn1", "layer1", "layer2", "layer3", "layer4", "fc"];

    /// <inheritdoc/>
    public override nn.Module Head => fc;

    /// <inheritdoc/>
    public override Linear LastLayer => fc;

    /// <inheritdoc/>
    public override Tensor Maps(Tensor x)
    {
        x = F.relu(bn1.forward(conv1.forward(x)));
        x = F.max_pool2d(x, 3, 2, 1);
        return layer4.forward(layer3.forward(layer2.forward(layer1.forward(x))));
    }

    /// <inheritdoc/>
    public override Tensor Classify(Tensor features) => fc.forward(dropout.forward(features));

    /// <summary>The blocks that share one map size; the first of them has the stride.</summary>
    /// <param name="isBottleneck">Whether the blocks are bottlenecks.</param>
    /// <param name="from">Channels of the input.</param>
    /// <param name="channels">Channels of a block; bottlenecks put out four times as many.</param>
    /// <param name="depth">Number of blocks.</param>
    /// <param name="stride">Stride of the first block.</param>
    private static Sequential Stage(bool isBottleneck, int from, int channels, int depth, int stride)
    {
        var blocks = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (var layer = 0; layer < depth; layer++)
        {
            var step = layer == 0 ? stride : 1;
            blocks.Add(
                (
                    $"{layer}",
                    isBottleneck ? new BottleneckBlock(from, channels, step) : new BasicBlock(from, channels, step)
                )
            );
            from = isBottleneck ? 4 * channels : channels;
        }

        return nn.Sequential(blocks);
    }
}
