using TorchBridge.Training.Lab.Topics;

namespace TorchBridge.Training.Lab;

/// <summary>The topics, in the lesson's order.</summary>
internal static class LabTopics
{
    /// <summary>
    /// All topics. Add a new one here, in its own file next to the others.
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
            "BatchNorm written out and compared with the library's, and the effect of a biased running variance.",
            BatchNormTopic.Run
        ),
        new(
            "normalizations",
            "Batch, layer, instance, group and none: which axes each averages over, and how networks train with it.",
            NormalizationsTopic.Run
        ),
        new(
            "dropout",
            "Standard, spatial and alpha dropout: masks, statistics, and a network trained with each.",
            DropoutTopic.Run
        ),
        new(
            "initialization",
            "Xavier, Kaiming, orthogonal, LeCun: signal and gradient through thirty layers, and training from a "
                + "bad start.",
            InitializationTopic.Run
        ),
        new(
            "augmentations",
            "A contact sheet of training pictures under every augmentation.",
            PictureTopics.Augmentations
        ),
        new("mixup", "A contact sheet of mixup, CutMix and cutout with the resulting labels.", PictureTopics.Mixing),
        new("label-smoothing", "The formula, and its effect on confidence and calibration.", LabelSmoothingTopic.Run),
        new("weight-decay", "A penalty in the loss compared with decoupled decay.", WeightDecayTopic.Run),
        new("early-stopping", "An overfitting run, and where early stopping ends it.", EarlyStoppingTopic.Run),
        new(
            "learning-rate",
            "The highest learning rate that still trains, with and without BatchNorm.",
            LearningRateTopic.Run
        ),
    ];
}
