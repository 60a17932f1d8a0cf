namespace TorchBridge.Training.Networks;

/// <summary>Whether a block's input is added to its output.</summary>
internal enum BlockForm
{
    /// <summary>Through a 1x1 stride-2 convolution and a norm.</summary>
    Residual,

    /// <summary>Not at all: the lesson's forward as it is written.</summary>
    Plain,
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
}

/// <summary>Everything that decides a ModernCNN's shape; stored with its weights.</summary>
internal sealed record NetworkOptions
{
    /// <summary>Number of classes, at least 2.</summary>
    public int Classes { get; init; } = 10;

    /// <summary>Height of the pictures in pixels, at least 8.</summary>
    public int Height { get; init; } = 32;

    /// <summary>Width of the pictures in pixels, at least 8.</summary>
    public int Width { get; init; } = 32;

    /// <summary>Channels of the first convolution; each block doubles them. 64 is the lesson's.</summary>
    public int Channels { get; init; } = 64;

    /// <summary>Probability of dropping a feature before the classifier, 0 to below 1.</summary>
    public double Dropout { get; init; } = 0.5;

    /// <summary>Form of the blocks.</summary>
    public BlockForm Form { get; init; } = BlockForm.Residual;

    /// <summary>Normalization.</summary>
    public NormKind Norm { get; init; } = NormKind.Batch;
}
