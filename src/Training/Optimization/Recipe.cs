using TorchBridge.Training.Data;

namespace TorchBridge.Training.Optimization;

/// <summary>How a network is trained; the defaults are the lesson's. Stored with the model.</summary>
internal sealed record Recipe
{
    /// <summary>Passes over the training part, at least 1.</summary>
    public int Epochs { get; init; } = 8;

    /// <summary>Pictures a step.</summary>
    public int BatchSize { get; init; } = 128;

    /// <summary>Peak learning rate of AdamW; cosine decay to zero.</summary>
    public double LearningRate { get; init; } = 0.001;

    /// <summary>Decoupled weight decay of AdamW, on every parameter.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Label smoothing, 0 for none.</summary>
    public double LabelSmoothing { get; init; } = 0.1;

    /// <summary>Largest norm of all gradients together, 0 for no clipping.</summary>
    public double GradientClipping { get; init; } = 1.0;

    /// <summary>Epochs without a better validation loss after which training stops.</summary>
    public int Patience { get; init; } = 10;

    /// <summary>How training pictures are changed.</summary>
    public AugmentationOptions Augmentation { get; init; } = new();
}
