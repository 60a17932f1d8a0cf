// Label smoothing: the target of class k of K is (1 - s) [k = y] + s / K, so the true class gets 1 - s + s / K. With
// s = 0.1 and three classes: 0.033, 0.933, 0.033. The loss is cross entropy with soft targets, mean over the batch:
// -sum_k t_k log softmax(z)_k. Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Regularization;

/// <summary>Targets that are probability distributions, and their loss.</summary>
internal static class SoftTargets
{
    /// <summary>Smoothed one-hot targets [N, classes], float32.</summary>
    /// <param name="labels">[N] int64.</param>
    /// <param name="classes">Number of classes.</param>
    /// <param name="smoothing">s in the formula, 0 to below 1.</param>
    public static Tensor Smooth(Tensor labels, int classes, double smoothing)
    {
        using var oneHot = nn.functional.one_hot(labels, classes).to(ScalarType.Float32);
        return (oneHot * (1 - smoothing)) + (smoothing / classes);
    }

    /// <summary>Cross entropy of logits [N, classes] with soft targets [N, classes]: a scalar.</summary>
    /// <param name="logits">Logits, float32.</param>
    /// <param name="targets">Targets, in rows that sum to 1.</param>
    public static Tensor CrossEntropy(Tensor logits, Tensor targets) =>
        -(targets * logits.log_softmax(1)).sum(1).mean();
}
