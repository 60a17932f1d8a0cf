using TorchBridge.Training.Initialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>
/// The lesson's network. Pictures [N, 3, H, W] to logits [N, classes]: conv 3 to 64, norm, ReLU; three blocks that halve the picture and
/// double the channels (conv stride 2, norm, ReLU, conv, norm), ReLU after each; global average pool; dropout; linear.
/// Field names are state-dict keys: <c>conv1</c>, <c>bn1</c>, <c>res_block1.0</c> …, <c>shortcut1.0</c>, <c>fc</c>.
/// </summary>
internal sealed class ModernCnn : nn.Module<Tensor, Tensor>
{
    private readonly Conv2d conv1;
    private readonly nn.Module<Tensor, Tensor> bn1;
    private readonly Sequential res_block1;
    private readonly Sequential res_block2;
    private readonly Sequential res_block3;
    private readonly Sequential? shortcut1;
    private readonly Sequential? shortcut2;
    private readonly Sequential? shortcut3;
    private readonly Dropout dropout;
    private readonly Linear fc;

    /// <summary>Builds and initializes the network; torch's random state decides the weights.</summary>
    public ModernCnn(NetworkOptions options) : base(nameof(ModernCnn))
    {
        int c = options.Channels, h = options.Height, w = options.Width;
        conv1 = nn.Conv2d(3, c, 3, padding: 1);
        bn1 = NormLayer.Make(options.Norm, c, h, w);
        (h, w) = Halve(h, w);
        res_block1 = Block(options.Norm, c, 2 * c, h, w);
        shortcut1 = Shortcut(options, c, 2 * c, h, w);
        (h, w) = Halve(h, w);
        res_block2 = Block(options.Norm, 2 * c, 4 * c, h, w);
        shortcut2 = Shortcut(options, 2 * c, 4 * c, h, w);
        (h, w) = Halve(h, w);
        res_block3 = Block(options.Norm, 4 * c, 8 * c, h, w);
        shortcut3 = Shortcut(options, 4 * c, 8 * c, h, w);
        dropout = nn.Dropout(options.Dropout);
        fc = nn.Linear(8 * c, options.Classes);
        RegisterComponents();
        LessonInitialization.Apply(this);
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        x = F.relu(bn1.forward(conv1.forward(x)));
        x = F.relu(Join(res_block1.forward(x), shortcut1, x));
        x = F.relu(Join(res_block2.forward(x), shortcut2, x));
        x = F.relu(Join(res_block3.forward(x), shortcut3, x));
        x = F.adaptive_avg_pool2d(x, 1);
        x = x.view(x.size(0), -1);
        return fc.forward(dropout.forward(x));
    }

    private static Tensor Join(Tensor block, Sequential? shortcut, Tensor x) => shortcut is null ? block : block + shortcut.forward(x);

    // A 3x3 convolution of stride 2 with padding 1 gives ceil(size / 2).
    private static (int Height, int Width) Halve(int height, int width) => ((height + 1) / 2, (width + 1) / 2);

    private static Sequential Block(NormKind norm, int from, int to, int height, int width) => nn.Sequential(
        ("0", nn.Conv2d(from, to, 3, stride: 2, padding: 1)),
        ("1", NormLayer.Make(norm, to, height, width)),
        ("2", nn.ReLU(inplace: true)),
        ("3", nn.Conv2d(to, to, 3, padding: 1)),
        ("4", NormLayer.Make(norm, to, height, width)));

    private static Sequential? Shortcut(NetworkOptions options, int from, int to, int height, int width) => options.Form == BlockForm.Plain
        ? null
        : nn.Sequential(("0", nn.Conv2d(from, to, 1, stride: 2, bias: false)), ("1", NormLayer.Make(options.Norm, to, height, width)));
}
