using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>What of a network that starts from trained weights is trained.</summary>
internal enum TuneKind
{
    /// <summary>Everything, as a new network is.</summary>
    None,

    /// <summary>The classifier alone, on features that are computed once.</summary>
    Head,

    /// <summary>The classifier first, as <see cref="Head"/> does it; then everything.</summary>
    All,
}

/// <summary>How a network that starts from trained weights is tuned.</summary>
/// <param name="What">What is trained.</param>
/// <param name="Views">Augmented views of each training picture whose features the classifier sees; the first is the
/// picture as it is. At least 1.</param>
/// <param name="HeadEpochs">Epochs of the classifier alone before everything is trained.</param>
/// <param name="HeadLearningRate">Peak learning rate of those.</param>
/// <param name="LayerDecay">Factor of the learning rate from each part of the network to the one before it, above 0
/// to 1: what is near the pixels changes least.</param>
/// <param name="FreezeNorms">Whether BatchNorm keeps the running statistics that it came with, in eval mode, while
/// everything is trained.</param>
internal sealed record TuningOptions(
    TuneKind What = TuneKind.None,
    [property: Allowed(1, 1000)] int Views = 4,
    [property: Allowed(1, 100_000)] int HeadEpochs = 40,
    [property: Allowed(1e-9, 10)] double HeadLearningRate = 0.001,
    [property: Allowed(0.01, 1)] double LayerDecay = 1,
    bool FreezeNorms = false
);
