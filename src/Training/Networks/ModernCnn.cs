using TorchBridge.Training.Data;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchBridge.Training.Networks;

/// <summary>
/// The lesson's network. Pictures [N, 3, H, W] to float32 logits [N, classes]: conv 3 to 64, norm, ReLU; three blocks
/// that halve the picture and double the channels (conv stride 2, norm, ReLU, conv, norm), ReLU after each; global
/// average pool; dropout; linear. The pooled form: a convolution of 2x2 patches with whitening weights, activation;
/// three blocks (conv, max-pool of 2, norm, activation, conv, norm, activation); global max-pool; dropout; linear,
/// divided by 9. Its norms keep the scale 1, and learn the offset only. Pictures may be bfloat16: then everything up
/// to the pool is computed in it. Field names are state-dict keys: <c>conv1</c>, <c>bn1</c>, <c>res_block1.0</c> …,
/// <c>shortcut1.0</c>, <c>fc</c>.
/// </summary>
/// <remarks>Sources of the pooled form: Page 2019, "How to train your ResNet" (max-pools, whitened patches, scaled
/// classifier); Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds" (this order of layers, GELU).</remarks>
internal sealed class ModernCnn : ImageNetwork
{
    private const float PooledScale = 1f / 9;
    private readonly CastingConv2d conv1;
    private readonly nn.Module<Tensor, Tensor> bn1;
    private readonly Sequential res_block1;
    private readonly Sequential res_block2;
    private readonly Sequential res_block3;
    private readonly Sequential? shortcut1;
    private readonly Sequential? shortcut2;
    private readonly Sequential? shortcut3;
    private readonly StochasticDepth depth1;
    private readonly StochasticDepth depth2;
    private readonly StochasticDepth depth3;
    private readonly nn.Module<Tensor, Tensor> dropout;
    private readonly Linear fc;
    private readonly ActivationKind activation;
    private readonly bool dropsChannels;
    private readonly bool isPooled;

    /// <summary>Builds and initializes the network; torch's random state decides the weights.</summary>
    /// <param name="options">Channels, classes, size, form, norm, dropout and start.</param>
    public ModernCnn(NetworkOptions options)
        : base(nameof(ModernCnn))
    {
        int channels = options.Channels,
            height = options.Height,
            width = options.Width;
        activation = options.Activation;
        isPooled = options.Form == BlockForm.Pooled;
        if (isPooled)
        {
            if (Math.Min(height, width) < SmallestPooled)
                throw new UserException(
                    string.Create(
                        System.Globalization.CultureInfo.InvariantCulture,
                        $"Pictures of {width}x{height} pixels are too small for the form 'pooled', which halves them three "
                            + $"times; at least {SmallestPooled} are needed. Take another --form, or a larger --size."
                    )
                );
            conv1 = new CastingConv2d(3, PatchWhitening.Filters, PatchWhitening.Side) { IsWhitening = true };
            bn1 = nn.Identity();
            (height, width) = ((height - 1) / 2, (width - 1) / 2);
            res_block1 = PooledBlock(options, PatchWhitening.Filters, channels, height, width);
            (height, width) = (height / 2, width / 2);
            res_block2 = PooledBlock(options, channels, options.SecondChannels, height, width);
            (height, width) = (height / 2, width / 2);
            res_block3 = PooledBlock(options, options.SecondChannels, options.ThirdChannels, height, width);
        }
        else
        {
            conv1 = new CastingConv2d(3, channels, 3, padding: 1);
            bn1 = NormLayer.Make(options.Norm, channels, height, width);
            (height, width) = Halve(height, width);
            res_block1 = Block(options, channels, 2 * channels, height, width);
            shortcut1 = Shortcut(options, channels, 2 * channels, height, width);
            (height, width) = Halve(height, width);
            res_block2 = Block(options, 2 * channels, 4 * channels, height, width);
            shortcut2 = Shortcut(options, 2 * channels, 4 * channels, height, width);
            (height, width) = Halve(height, width);
            res_block3 = Block(options, 4 * channels, 8 * channels, height, width);
            shortcut3 = Shortcut(options, 4 * channels, 8 * channels, height, width);
        }

        depth1 = new StochasticDepth(options.StochasticDepth / 3);
        depth2 = new StochasticDepth(options.StochasticDepth * 2 / 3);
        depth3 = new StochasticDepth(options.StochasticDepth);
        dropsChannels = options.DropoutKind == DropoutKind.Spatial;
        dropout = options.DropoutKind switch
        {
            DropoutKind.Standard => nn.Dropout(options.Dropout),
            DropoutKind.Spatial => nn.Dropout2d(options.Dropout),
            DropoutKind.Alpha => nn.AlphaDropout(options.Dropout),
            _ => throw new ArgumentOutOfRangeException(nameof(options), options.DropoutKind, "unknown dropout"),
        };
        fc = nn.Linear(isPooled ? options.ThirdChannels : 8 * channels, options.Classes);
        RegisterComponents();
        WeightInitialization.Apply(this, options.Initialization);
        if (isPooled)
            FixScales();
    }

    /// <summary>Least height and width of the pooled form: 9 less 1, halved three times, is 1.</summary>
    public const int SmallestPooled = 9;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Stages =>
        ["conv1 bn1", "res_block1 shortcut1", "res_block2 shortcut2", "res_block3 shortcut3", "fc"];

    /// <inheritdoc/>
    public override nn.Module Head => fc;

    /// <inheritdoc/>
    public override Linear LastLayer => fc;

    /// <inheritdoc/>
    public override Tensor Maps(Tensor x)
    {
        x = Activate(bn1.forward(conv1.forward(x)));
        x = Activate(Join(res_block1, shortcut1, depth1, x));
        x = Activate(Join(res_block2, shortcut2, depth2, x));
        x = Activate(Join(res_block3, shortcut3, depth3, x));
        return dropsChannels ? dropout.forward(x) : x;
    }

    /// <inheritdoc/>
    public override Tensor Classify(Tensor features) => isPooled ? Last(features) * PooledScale : Last(features);

    private Tensor Last(Tensor features) => fc.forward(dropsChannels ? features : dropout.forward(features));

    /// <inheritdoc/>
    public override void StartFrom(PictureSet pictures, ChannelStatistics statistics)
    {
        if (!isPooled)
            return;
        using var noGrad = no_grad();
        using var weights = PatchWhitening.Weights(pictures, statistics);
        conv1.Weight.copy_(weights);
    }

    /// <inheritdoc/>
    protected override float ClassifierScale => isPooled ? PooledScale : 1;

    /// <inheritdoc/>
    protected override Tensor Pool(Tensor maps) => isPooled ? F.adaptive_max_pool2d(maps, [1, 1]) : base.Pool(maps);

    /// <summary>Of a max-pool, the places that hold the largest value, in equal shares.</summary>
    protected override Tensor Shares(Tensor maps, Tensor pooled)
    {
        if (!isPooled)
            return base.Shares(maps, pooled);
        var isLargest = maps.eq(pooled).to(maps.dtype);
        return maps * isLargest / isLargest.sum([2, 3], keepdim: true);
    }

    /// <summary>What a block's convolutions see is normalized, and what follows learns the scale: one scale
    /// more a channel would only be another learning rate.</summary>
    private void FixScales()
    {
        foreach (var block in (Sequential[])[res_block1, res_block2, res_block3])
        {
            foreach (var norm in block.children().Where(layer => layer is not CastingConv2d))
            {
                foreach (var (_, scale) in norm.named_parameters().Where(pair => pair.name == "weight"))
                    scale.requires_grad = false;
            }
        }
    }

    /// <summary>What a block adds to what passes it by; in the plain form nothing passes.</summary>
    /// <param name="block">The convolutions.</param>
    /// <param name="shortcut">What passes, brought to the block's shape.</param>
    /// <param name="depth">Leaves the block out now and then while training.</param>
    /// <param name="x">The block's input.</param>
    private static Tensor Join(Sequential block, Sequential? shortcut, StochasticDepth depth, Tensor x) =>
        shortcut is null ? block.forward(x) : depth.forward(block.forward(x)) + shortcut.forward(x);

    /// <summary>As the options say.</summary>
    /// <param name="x">Any shape.</param>
    private Tensor Activate(Tensor x) =>
        activation switch
        {
            ActivationKind.Relu => F.relu(x),
            ActivationKind.Selu => F.selu(x),
            _ => F.gelu(x),
        };

    /// <summary>The same as a layer.</summary>
    private static nn.Module<Tensor, Tensor> Activation(ActivationKind kind) =>
        kind switch
        {
            ActivationKind.Relu => nn.ReLU(inplace: true),
            ActivationKind.Selu => nn.SELU(inplace: true),
            ActivationKind.Gelu => nn.GELU(),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown activation"),
        };

    // A 3x3 convolution of stride 2 with padding 1 gives ceil(size / 2).
    /// <summary>Size of the maps behind a block.</summary>
    /// <param name="height">Before it.</param>
    /// <param name="width">Before it.</param>
    private static (int Height, int Width) Halve(int height, int width) => ((height + 1) / 2, (width + 1) / 2);

    /// <summary>
    /// The convolutions of a block: [N, from, H, W] to [N, to, H / 2, W / 2], rounded up.
    /// </summary>
    private static Sequential Block(NetworkOptions options, int from, int to, int height, int width) =>
        nn.Sequential(
            ("0", new CastingConv2d(from, to, 3, stride: 2, padding: 1)),
            ("1", NormLayer.Make(options.Norm, to, height, width)),
            ("2", Activation(options.Activation)),
            ("3", new CastingConv2d(to, to, 3, padding: 1)),
            ("4", NormLayer.Make(options.Norm, to, height, width))
        );

    /// <summary>A block of the pooled form: [N, from, H, W] to [N, to, H / 2, W / 2], rounded down.</summary>
    // The pool comes before norm and activation, which then have a quarter of the values to go over.
    private static Sequential PooledBlock(NetworkOptions options, int from, int to, int height, int width)
    {
        var bias = options.Norm == NormKind.None;
        return nn.Sequential(
            ("0", new CastingConv2d(from, to, 3, padding: 1, bias: bias)),
            ("1", nn.MaxPool2d(2)),
            ("2", NormLayer.Make(options.Norm, to, height, width)),
            ("3", Activation(options.Activation)),
            ("4", new CastingConv2d(to, to, 3, padding: 1, bias: bias)),
            ("5", NormLayer.Make(options.Norm, to, height, width))
        );
    }

    /// <summary>A 1x1 convolution of stride 2 with a norm; null in the plain form.</summary>
    private static Sequential? Shortcut(NetworkOptions options, int from, int to, int height, int width) =>
        options.Form == BlockForm.Plain
            ? null
            : nn.Sequential(
                ("0", new CastingConv2d(from, to, 1, stride: 2, bias: false)),
                ("1", NormLayer.Make(options.Norm, to, height, width))
            );
}
