using TorchBridge.Training.Lab.Topics;

namespace TorchBridge.Training.Lab;

/// <summary>The topics, in the lesson's order.</summary>
internal static class LabTopics
{
    /// <summary>
    /// Every topic; a new one is added here and has its own file beside the others.
    /// </summary>
    public static IReadOnlyList<LabTopic> All { get; } =
    [
        new(
            "activations",
            "How values spread through deep layers, with and without normalization.",
            ActivationsTopic.Run
        ),
        new(
            "batchnorm",
            "BatchNorm written out, equal to the library's; and what a biased running variance does.",
            BatchNormTopic.Run
        ),
        new(
            "normalizations",
            "Batch, layer, instance, group and none: what each averages over, and how networks with them train.",
            NormalizationsTopic.Run
        ),
        new(
            "dropout",
            "Standard, spatial and alpha dropout: masks, statistics, a network trained with each.",
            DropoutTopic.Run
        ),
        new(
            "initialization",
            "Xavier, Kaiming, orthogonal, LeCun: signal and gradient through thirty layers, and a bad start.",
            InitializationTopic.Run
        ),
        new("augmentations", "A sheet of training pictures under every augmentation.", PictureTopics.Augmentations),
        new("mixup", "A sheet of mixup, CutMix and cutout with their labels.", PictureTopics.Mixing),
        new("label-smoothing", "The formula, and what it does to confidence and calibration.", LabelSmoothingTopic.Run),
        new("weight-decay", "A penalty in the loss against decoupled decay.", WeightDecayTopic.Run),
        new("early-stopping", "An overfitting run, and where it is stopped.", EarlyStoppingTopic.Run),
        new(
            "learning-rate",
            "The highest learning rate that still trains, with and without BatchNorm.",
            LearningRateTopic.Run
        ),
    ];
}
