using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Networks;

/// <summary>The form of the blocks, and whether a block's input is added to its output.</summary>
internal enum BlockForm
{
    /// <summary>The input is added through a 1x1 stride-2 convolution and a norm.</summary>
    Residual,

    /// <summary>The input is not added: the lesson's forward pass as written.</summary>
    Plain,

    /// <summary>The input is not added, max-pools downsample instead of strides, and the first layer whitens patches.
    /// More accurate for the same amount of computation.</summary>
    Pooled,
}

/// <summary>The normalization after each convolution.</summary>
internal enum NormKind
{
    /// <summary>BatchNorm2d: per channel, over the batch and the picture.</summary>
    Batch,

    /// <summary>LayerNorm over channel, height and width of each picture.</summary>
    Layer,

    /// <summary>GroupNorm: eight groups of channels of each picture.</summary>
    Group,

    /// <summary>InstanceNorm2d: each channel of each picture; no affine parameters, as in PyTorch.</summary>
    Instance,

    /// <summary>Nothing.</summary>
    None,

    /// <summary>BatchNorm2d written out in tensor operations: the same results, slower.</summary>
    BatchFromScratch,
}

/// <summary>The activation between the layers.</summary>
internal enum ActivationKind
{
    /// <summary>max(x, 0)</summary>
    Relu,

    /// <summary>Self-normalizing; use with alpha dropout and LeCun initialization.</summary>
    Selu,

    /// <summary>x times the standard normal CDF of x: a smooth ReLU.</summary>
    Gelu,
}

/// <summary>The kind of dropout before the classifier.</summary>
internal enum DropoutKind
{
    /// <summary>Single features, after the pooling.</summary>
    Standard,

    /// <summary>Whole channels of the last maps, before the pooling (Dropout2d).</summary>
    Spatial,

    /// <summary>Single features, set to SELU's negative limit and rescaled so that mean and variance are preserved
    /// (AlphaDropout).</summary>
    Alpha,
}

/// <summary>Initialization of the convolutions. Biases are zero, norms have weight 1 and bias 0, the classifier is
/// normal with std 0.01.</summary>
internal enum InitializationKind
{
    /// <summary>Normal, std sqrt(2 / fan_out): the lesson's.</summary>
    KaimingNormal,

    /// <summary>Uniform within sqrt(6 / fan_in).</summary>
    KaimingUniform,

    /// <summary>Normal, std sqrt(2 / (fan_in + fan_out)).</summary>
    XavierNormal,

    /// <summary>Uniform within sqrt(6 / (fan_in + fan_out)).</summary>
    XavierUniform,

    /// <summary>Orthogonal rows, gain sqrt(2).</summary>
    Orthogonal,

    /// <summary>Normal, std sqrt(1 / fan_in): for SELU.</summary>
    LecunNormal,

    /// <summary>The first outputs, one per input channel, pass that channel on; the others are uniform within
    /// sqrt(1 / fan_in).</summary>
    Dirac,
}

/// <summary>Everything that determines a network's architecture and initialization; stored with its
/// weights.</summary>
internal sealed record NetworkOptions
{
    /// <summary>The network. For all but the ModernCNN, only the classes, the picture size, the dropout and the
    /// initialization of the convolutions can be chosen.</summary>
    public NetworkKind Kind { get; init; } = NetworkKind.ModernCnn;

    /// <summary>Residual blocks in a ResNet's last stage, where it differs from the published network: the bundled
    /// ResNet-18 has three.</summary>
    [Allowed(1, 1000)]
    public int? LastStageBlocks { get; init; }

    /// <summary>Number of classes, at least 2.</summary>
    [Allowed(1, 100_000)]
    public int Classes { get; init; } = 10;

    /// <summary>Height of the pictures in pixels, at least 8.</summary>
    [Allowed(1, 4096)]
    public int Height { get; init; } = 32;

    /// <summary>Width of the pictures in pixels, at least 8.</summary>
    [Allowed(1, 4096)]
    public int Width { get; init; } = 32;

    /// <summary>Channels of the first convolution; each block doubles them. In the pooled form, the channels of the
    /// first block. The lesson uses 64.</summary>
    [Allowed(8, 512, MultipleOf = 8)]
    public int Channels { get; init; } = 64;

    /// <summary>Channels of the pooled form's second block.</summary>
    [Allowed(8, 2048, MultipleOf = 8)]
    public int SecondChannels { get; init; } = 256;

    /// <summary>Channels of the pooled form's third block, which are the classifier's input features.</summary>
    [Allowed(8, 2048, MultipleOf = 8)]
    public int ThirdChannels { get; init; } = 256;

    /// <summary>Probability of dropping a feature before the classifier, 0 to below 1.</summary>
    [Allowed(0, 0.99)]
    public double Dropout { get; init; } = 0.5;

    /// <summary>Form of the blocks.</summary>
    public BlockForm Form { get; init; } = BlockForm.Residual;

    /// <summary>Normalization.</summary>
    public NormKind Norm { get; init; } = NormKind.Batch;

    /// <summary>Where dropout acts.</summary>
    public DropoutKind DropoutKind { get; init; } = DropoutKind.Standard;

    /// <summary>Activation.</summary>
    public ActivationKind Activation { get; init; } = ActivationKind.Relu;

    /// <summary>Probability of leaving out the last block's branch, 0 to below 1; the first block has a third of it,
    /// the second two thirds. Residual form only.</summary>
    [Allowed(0, 0.99)]
    public double StochasticDepth { get; init; }

    /// <summary>Initialization of the convolutions.</summary>
    public InitializationKind Initialization { get; init; } = InitializationKind.KaimingNormal;
}
