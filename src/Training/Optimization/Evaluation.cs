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
    private const int BatchSize = 250;

    /// <summary>Evaluates in eval mode; the mode is put back. Sums over samples, not means of batch means.</summary>
    public static Evaluation Of(PixelClassifier classifier, PictureSet set, CancellationToken stop = default)
    {
        var wasTraining = classifier.training;
        classifier.eval();
        try
        {
            using var noGrad = no_grad();
            double loss = 0;
            long right = 0, rightInFive = 0;
            var logits = new List<float>();
            foreach (var batch in BatchLoader.InOrder(set, BatchSize))
            {
                using var scope = NewDisposeScope();
                using (batch)
                {
                    stop.ThrowIfCancellationRequested();
                    var output = classifier.Logits(batch.Pixels.to(classifier.Device)).cpu();
                    var classes = (int)output.shape[1];
                    loss += SoftTargets.CrossEntropy(output, SoftTargets.Smooth(batch.Labels, classes, 0)).ToDouble() * output.shape[0];
                    right += output.argmax(1).eq(batch.Labels).sum().ToInt64();
                    rightInFive += output.topk(Math.Min(5, classes), 1).indexes.eq(batch.Labels.unsqueeze(1)).sum().ToInt64();
                    logits.AddRange(output.contiguous().data<float>().ToArray());
                }
            }

            return new Evaluation(loss / set.Count, (double)right / set.Count, (double)rightInFive / set.Count, [.. logits]);
        }
        finally
        {
            classifier.train(wasTraining);
        }
    }
}
