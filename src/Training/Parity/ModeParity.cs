using TorchBridge.Export;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Parity;

/// <summary>Loss and accuracy with batch statistics at one batch size.</summary>
/// <param name="BatchSize">Number of pictures that share their statistics.</param>
/// <param name="Loss">Mean loss over the validation pictures, with dropout off.</param>
/// <param name="Accuracy">Share of correct predictions, 0 to 1.</param>
internal sealed record ModeRow(int BatchSize, double Loss, double Accuracy);

/// <summary>The results of train mode and eval mode with the same weights.</summary>
/// <param name="Drift">For each layer, in order: the training pictures compared with the running statistics.</param>
/// <param name="EvalLoss">Loss with running statistics.</param>
/// <param name="EvalAccuracy">Accuracy with running statistics.</param>
/// <param name="TrainMode">Results with batch statistics, dropout off.</param>
/// <param name="Pictures">Number of validation pictures.</param>
internal sealed record ModeParityResult(
    IReadOnlyList<NormalizationDrift> Drift,
    double EvalLoss,
    double EvalAccuracy,
    IReadOnlyList<ModeRow> TrainMode,
    int Pictures
);

/// <summary>The result of recomputing the running statistics.</summary>
/// <param name="LossBefore">Validation loss with the previous statistics.</param>
/// <param name="AccuracyBefore">Accuracy with these statistics, 0 to 1.</param>
/// <param name="LossAfter">Validation loss with the new statistics.</param>
/// <param name="AccuracyAfter">Accuracy with these statistics, 0 to 1.</param>
/// <param name="Kept">Whether the model now uses the new statistics.</param>
internal sealed record RecalibrationResult(
    double LossBefore,
    double AccuracyBefore,
    double LossAfter,
    double AccuracyAfter,
    bool Kept
);

/// <summary>Compares train mode with eval mode on a trained model. Weights, running statistics and counters are
/// restored afterwards.</summary>
internal static class ModeParity
{
    /// <summary>Largest number of pictures: enough for a standard error of 1.6 points at 50 %, and few enough for
    /// batches of two.</summary>
    private const int LargestPart = 1000;
    private const int StatisticsBatch = 100;
    private static readonly int[] BatchSizes = [2, 8, 32, 128];

    /// <summary>Measures drift over the training part, and losses over the validation part.</summary>
    /// <param name="model">The trained model.</param>
    /// <param name="data">Training and validation parts.</param>
    /// <param name="stop">Cancels between two batches.</param>
    public static ModeParityResult Measure(TrainedModel model, PictureData data, CancellationToken stop = default)
    {
        var drift = TrainEvalParity.Drift(model.Classifier, Pixels(model, data.Training, stop));
        // Shuffled, because pictures are ordered by class, and a batch of one class is not typical for training.
        var part = data.Validation.Sample(LargestPart, new Draw(model.Settings.Seed, 23));
        var eval = Evaluation.Of(model.Classifier, part, stop);
        var rows = BatchSizes
            .Where(size => size <= part.Count)
            .Select(size =>
                TrainEvalParity.WithBatchStatistics(model.Classifier, () => OfBatches(model, part, size, stop))
            )
            .ToArray();
        return new ModeParityResult(drift, eval.Loss, eval.Accuracy, rows, part.Count);
    }

    /// <summary>
    /// Recomputes the running statistics over the training part, and keeps them if the validation loss is not worse.
    /// </summary>
    /// <param name="model">The trained model; changed only if the new statistics are kept.</param>
    /// <param name="data">Training and validation parts.</param>
    /// <param name="stop">Cancels between two batches; the model is then not changed.</param>
    public static RecalibrationResult Recalibrate(
        TrainedModel model,
        PictureData data,
        CancellationToken stop = default
    )
    {
        using var own = new WeightSnapshot(model.Network);
        var before = Evaluation.Of(model.Classifier, data.Validation, stop);
        TrainEvalParity.Recalibrate(model.Network, () => RunOver(model, data.Training, stop));
        var after = Evaluation.Of(model.Classifier, data.Validation, stop);
        var kept = after.Loss <= before.Loss;
        if (!kept)
            own.PutBack();
        return new RecalibrationResult(before.Loss, before.Accuracy, after.Loss, after.Accuracy, kept);
    }

    /// <summary>Runs the network over a part in train mode, without gradients.</summary>
    /// <param name="model">The network.</param>
    /// <param name="set">The training part.</param>
    /// <param name="stop">Cancels between two batches.</param>
    private static void RunOver(TrainedModel model, PictureSet set, CancellationToken stop)
    {
        foreach (var pixels in Pixels(model, set, stop))
        {
            using var scope = NewDisposeScope();
            model.Classifier.Logits(pixels);
        }
    }

    /// <summary>Full batches only, so that each has the same weight in the average.</summary>
    /// <param name="model">The model, for its device.</param>
    /// <param name="set">Any part.</param>
    /// <param name="stop">Cancels between two batches.</param>
    private static IEnumerable<Tensor> Pixels(TrainedModel model, PictureSet set, CancellationToken stop)
    {
        var size = Math.Min(StatisticsBatch, set.Count);
        foreach (var batch in BatchLoader.InOrder(Mixed(model, set), size))
        {
            using (batch)
            {
                stop.ThrowIfCancellationRequested();
                if (batch.Labels.shape[0] == size)
                    yield return batch.Pixels;
            }
        }
    }

    /// <summary>A part in random order, because pictures that are ordered by class would give batches of one
    /// class.</summary>
    /// <param name="model">The model, for its seed.</param>
    /// <param name="set">Any part.</param>
    private static PictureSet Mixed(TrainedModel model, PictureSet set) =>
        set.Sample(set.Count, new Draw(model.Settings.Seed, 29));

    /// <summary>Loss and accuracy with batch statistics at one batch size.</summary>
    /// <param name="model">The network.</param>
    /// <param name="set">The validation part.</param>
    /// <param name="batchSize">Number of pictures that share their statistics; a smaller last batch is
    /// skipped.</param>
    /// <param name="stop">Cancels between two batches.</param>
    private static ModeRow OfBatches(TrainedModel model, PictureSet set, int batchSize, CancellationToken stop)
    {
        double loss = 0;
        long right = 0,
            seen = 0;
        foreach (var batch in BatchLoader.InOrder(set, batchSize))
        {
            using var scope = NewDisposeScope();
            using (batch)
            {
                stop.ThrowIfCancellationRequested();
                if (batch.Labels.shape[0] != batchSize)
                    continue; // a smaller last batch would have other statistics
                var logits = model.Classifier.Logits(batch.Pixels);
                loss +=
                    SoftTargets
                        .CrossEntropy(logits, SoftTargets.Smooth(batch.Labels, (int)logits.shape[1], 0))
                        .ToDouble() * batchSize;
                right += logits.argmax(1).eq(batch.Labels).sum().ToInt64();
                seen += batchSize;
            }
        }

        return new ModeRow(batchSize, loss / seen, (double)right / seen);
    }
}
