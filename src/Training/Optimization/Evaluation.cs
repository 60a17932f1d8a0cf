using System.Globalization;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The results of a network on a set in eval mode.</summary>
/// <param name="Loss">Mean cross entropy, without label smoothing.</param>
/// <param name="Accuracy">Share of pictures whose largest logit belongs to the correct class.</param>
/// <param name="TopFive">Share of pictures whose class is among the five largest logits.</param>
/// <param name="Logits">count x classes.</param>
internal sealed record Evaluation(double Loss, double Accuracy, double TopFive, float[] Logits)
{
    /// <summary>The views of each picture over which the logits were averaged.</summary>
    public ViewKind Views { get; init; }

    /// <summary>Number of the largest logits among which <see cref="TopFive"/> looks.</summary>
    private const int Five = 5;

    private const int LargestBatch = 250,
        SmallestBatch = 8;
    private const long PixelsOfABatch = 1_000_000;

    /// <summary>Words the top-5 accuracy, followed by a comma; nothing for up to five classes, where it is always
    /// 100 %.</summary>
    /// <param name="topFive">Share of pictures whose class is among the five largest logits.</param>
    /// <param name="classes">Number of classes.</param>
    public static string TopFiveText(double topFive, int classes) =>
        classes > Five ? string.Create(CultureInfo.InvariantCulture, $"top-5 {topFive:P2}, ") : "";

    /// <summary>Evaluates in eval mode and restores the mode.</summary>
    /// <param name="classifier">The network, from pixels to logits.</param>
    /// <param name="set">Any part.</param>
    /// <param name="stop">Cancels between two batches.</param>
    /// <returns>Results over all pictures, with their logits in the set's order.</returns>
    public static Evaluation Of(PixelClassifier classifier, PictureSet set, CancellationToken stop = default)
    {
        var wasTraining = classifier.training;
        classifier.eval();
        try
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            var logits = new List<Tensor>();
            foreach (var batch in BatchLoader.InOrder(set, BatchSize(set)))
            {
                using var step = NewDisposeScope();
                using (batch)
                {
                    stop.ThrowIfCancellationRequested();
                    logits.Add(classifier.Logits(batch.Pixels.to(classifier.Device)).cpu().MoveToOuterDisposeScope());
                }
            }

            return OfLogits(cat(logits), tensor(set.Labels.Select(label => (long)label).ToArray())) with
            {
                Views = classifier.Views,
            };
        }
        finally
        {
            classifier.train(wasTraining);
        }
    }

    /// <summary>Refuses the results of a network whose outputs are NaN or infinite.</summary>
    /// <exception cref="UserException">The loss is NaN or infinite.</exception>
    public void RequireFinite()
    {
        if (!double.IsFinite(Loss))
            throw new UserException(
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"The test loss is {Loss}: the network's outputs are not finite, so no files are "
                        + $"created. Train it again with a lower --lr."
                )
            );
    }

    /// <summary>The batch size; smaller for large pictures, whose feature maps take more memory.</summary>
    /// <param name="set">The set, for the size of its pictures.</param>
    private static int BatchSize(PictureSet set) =>
        (int)Math.Clamp(PixelsOfABatch / ((long)set.Height * set.Width), SmallestBatch, LargestBatch);

    /// <summary>
    /// Computes the results from logits [N, classes] and labels [N]: means over samples, not over means of batches.
    /// </summary>
    /// <param name="logits">Logits, float32, on any device.</param>
    /// <param name="labels">Labels, int64.</param>
    public static Evaluation OfLogits(Tensor logits, Tensor labels)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var classes = (int)logits.shape[1];
        double Share(Tensor right) => (double)right.sum().ToInt64() / labels.shape[0];
        return new Evaluation(
            SoftTargets.CrossEntropy(logits.to(ScalarType.Float64), SoftTargets.Smooth(labels, classes, 0)).ToDouble(),
            Share(logits.argmax(1).eq(labels)),
            Share(logits.topk(Math.Min(Five, classes), 1).indexes.eq(labels.unsqueeze(1))),
            logits.contiguous().data<float>().ToArray()
        );
    }
}
