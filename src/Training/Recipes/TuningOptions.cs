using TorchBridge.Training.Ranges;

namespace TorchBridge.Training.Recipes;

/// <summary>Which part of a network that starts from trained weights is trained.</summary>
internal enum TuneKind
{
    /// <summary>Everything, like a new network.</summary>
    None,

    /// <summary>Only the classifier, on features that are computed once.</summary>
    Head,

    /// <summary>First only the classifier, as with <see cref="Head"/>, then everything.</summary>
    All,
}

/// <summary>How a network that starts from trained weights is fine-tuned.</summary>
/// <param name="What">Which part is trained.</param>
/// <param name="Views">Number of views of each training picture whose features the classifier is trained on, at least
/// 1; the first is the unchanged picture, the others are augmented.</param>
/// <param name="HeadEpochs">Epochs in which only the classifier is trained, before everything is trained.</param>
/// <param name="HeadLearningRate">Peak learning rate of these epochs.</param>
/// <param name="LayerDecay">Learning-rate factor from each part of the network to the part before it, above 0 and at
/// most 1: layers near the input change least.</param>
/// <param name="FreezeNorms">Whether BatchNorm stays in eval mode and keeps its original running statistics while
/// everything is trained.</param>
internal sealed record TuningOptions(
    TuneKind What = TuneKind.None,
    [property: Allowed(1, 1000)] int Views = 4,
    [property: Allowed(1, 100_000)] int HeadEpochs = 40,
    [property: Allowed(1e-9, 10)] double HeadLearningRate = 0.001,
    [property: Allowed(0.01, 1)] double LayerDecay = 1,
    bool FreezeNorms = false
);
