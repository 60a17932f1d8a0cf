using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Networks;

/// <summary>What a block is, and whether its input is added to its output.</summary>
internal enum BlockForm
{
    /// <summary>Through a 1x1 stride-2 convolution and a norm.</summary>
    Residual,

    /// <summary>Not at all: the lesson's forward as it is written.</summary>
    Plain,

    /// <summary>Not at all, and max-pools make pictures smaller, instead of strides; the first layer whitens patches.
    /// More accuracy for the same arithmetic.</summary>
    Pooled,
}

/// <summary>What normalizes after each convolution.</summary>
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

    /// <summary>BatchNorm2d written out in tensor operations: the same numbers, slower.</summary>
    BatchFromScratch,
}

/// <summary>What stands between the layers.</summary>
internal enum ActivationKind
{
    /// <summary>max(x, 0)</summary>
    Relu,

    /// <summary>Self-normalizing: goes with alpha dropout and LeCun initialization.</summary>
    Selu,

    /// <summary>x times the share of a normal distribution below x: ReLU without its corner.</summary>
    Gelu,
}

/// <summary>What is dropped before the classifier.</summary>
internal enum DropoutKind
{
    /// <summary>Single features, after the pooling.</summary>
    Standard,

    /// <summary>Whole channels of the last maps, before the pooling (Dropout2d).</summary>
    Spatial,

    /// <summary>Single features, set to SELU's negative limit and rescaled, so that mean and variance stay
    /// (AlphaDropout).</summary>
    Alpha,
}

/// <summary>How convolutions start; biases are zero, norms are 1 and 0, the classifier is normal with std
/// 0.01.</summary>
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

    /// <summary>The first outputs, one an input channel, pass that channel on; the others are uniform within
    /// sqrt(1 / fan_in).</summary>
    Dirac,
}

/// <summary>Everything that decides a network's shape and start; stored with its weights.</summary>
internal sealed record NetworkOptions
{
    /// <summary>Which network; for all but the ModernCNN only classes, size, dropout and start of the convolutions
    /// can be chosen.</summary>
    public NetworkKind Kind { get; init; } = NetworkKind.ModernCnn;

    /// <summary>Residual blocks of a ResNet's last stage, where not those of the published network: the ResNet-18
    /// that comes with the program has three.</summary>
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

    /// <summary>Channels of the first convolution; each block doubles them. In the pooled form, those of the first
    /// block. 64 is the lesson's.</summary>
    [Allowed(8, 512, MultipleOf = 8)]
    public int Channels { get; init; } = 64;

    /// <summary>Channels of the pooled form's second block.</summary>
    [Allowed(8, 2048, MultipleOf = 8)]
    public int SecondChannels { get; init; } = 256;

    /// <summary>Channels of the pooled form's third block: the features that the classifier sees.</summary>
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

    /// <summary>Start of the convolutions.</summary>
    public InitializationKind Initialization { get; init; } = InitializationKind.KaimingNormal;
}
