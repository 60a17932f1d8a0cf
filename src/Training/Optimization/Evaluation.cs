using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>What a network says of a set in eval mode.</summary>
/// <param name="Loss">Mean cross entropy, without smoothing.</param>
/// <param name="Accuracy">Share of pictures whose largest logit is the right class.</param>
/// <param name="TopFive">Share of pictures whose class is among the five largest logits.</param>
/// <param name="Logits">count x classes.</param>
internal sealed record Evaluation(double Loss, double Accuracy, double TopFive, float[] Logits)
{
    /// <summary>Which views of each picture the logits are the mean of.</summary>
    public ViewKind Views { get; init; }

    private const int LargestBatch = 250,
        SmallestBatch = 8;
    private const long PixelsOfABatch = 1_000_000;

    /// <summary>Evaluates in eval mode; the mode is put back.</summary>
    /// <param name="classifier">Pixels to logits.</param>
    /// <param name="set">Any part.</param>
    /// <param name="stop">Ends it between two batches.</param>
    /// <returns>Figures over all pictures, with their logits in the set's order.</returns>
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

    /// <summary>Refuses figures of a network whose outputs are no numbers.</summary>
    /// <exception cref="UserException">The loss is not a number.</exception>
    public void RequireFinite()
    {
        if (!double.IsFinite(Loss))
            throw new UserException(
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"The test loss is {Loss}: the network's outputs are no numbers, and nothing is "
                        + $"made from it. Train it anew with a lower --lr."
                )
            );
    }

    /// <summary>Of large pictures fewer at a time: their maps are what takes memory.</summary>
    /// <param name="set">Tells the pictures' size.</param>
    private static int BatchSize(PictureSet set) =>
        (int)Math.Clamp(PixelsOfABatch / ((long)set.Height * set.Width), SmallestBatch, LargestBatch);

    /// <summary>
    /// Figures of logits [N, classes] against labels [N]: means over samples, not over means of batches.
    /// </summary>
    /// <param name="logits">Float32, on any device.</param>
    /// <param name="labels">Int64.</param>
    public static Evaluation OfLogits(Tensor logits, Tensor labels)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var classes = (int)logits.shape[1];
        double Share(Tensor right) => (double)right.sum().ToInt64() / labels.shape[0];
        return new Evaluation(
            SoftTargets.CrossEntropy(logits.to(ScalarType.Float64), SoftTargets.Smooth(labels, classes, 0)).ToDouble(),
            Share(logits.argmax(1).eq(labels)),
            Share(logits.topk(Math.Min(5, classes), 1).indexes.eq(labels.unsqueeze(1))),
            logits.contiguous().data<float>().ToArray()
        );
    }
}
