using System.Diagnostics;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>An epoch's figures. Losses are means over samples; the training loss is the smoothed one that is minimised.</summary>
internal sealed record EpochRecord(int Epoch, double TrainingLoss, double TrainingAccuracy, double ValidationLoss, double ValidationAccuracy, double LearningRate, double ImagesPerSecond, double Seconds);

/// <summary>What a training run did.</summary>
/// <param name="History">One record an epoch.</param>
/// <param name="BestEpoch">The epoch whose weights are kept.</param>
/// <param name="Ending">Why it ended: all epochs, early stopping, stopped by the user.</param>
internal sealed record TrainingResult(IReadOnlyList<EpochRecord> History, int BestEpoch, string Ending)
{
    public const string AllEpochs = "all epochs";
    public const string EarlyStop = "early stopping";
    public const string StoppedByUser = "stopped by the user";
}

/// <summary>Receives what happens while a network trains.</summary>
internal interface ITrainingObserver
{
    /// <summary>After a step.</summary>
    void Step(int epoch, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond);

    /// <summary>After an epoch.</summary>
    void Epoch(EpochRecord record, bool isBest);
}

/// <summary>The lesson's recipe: AdamW with cosine decay, label smoothing, gradient clipping, early stopping; the best weights are kept.</summary>
internal sealed class Trainer(PixelClassifier classifier, Recipe recipe, int seed, ITrainingObserver observer)
{
    /// <summary>Trains until the epochs are over, validation says stop, or <paramref name="stop"/> does. The network then holds its best weights.</summary>
    /// <exception cref="UserException">The loss is not a number any more.</exception>
    public TrainingResult Train(PictureData data, CancellationToken stop = default)
    {
        classifier.train();
        var stepsInEpoch = (data.Training.Count + recipe.BatchSize - 1) / recipe.BatchSize;
        using var optimizer = optim.AdamW(classifier.parameters(), recipe.LearningRate, weight_decay: recipe.WeightDecay);
        using var best = new WeightSnapshot(classifier);
        var stopping = new EarlyStopping(recipe.Patience);
        var history = new List<EpochRecord>();
        var (bestEpoch, ending) = (0, TrainingResult.AllEpochs);
        for (var epoch = 1; epoch <= recipe.Epochs; epoch++)
        {
            EpochRecord record;
            try
            {
                record = TrainEpoch(data, epoch, stepsInEpoch, optimizer, stop);
            }
            catch (OperationCanceledException)
            {
                ending = TrainingResult.StoppedByUser;
                break;
            }

            var isBest = stopping.Improved(record.ValidationLoss);
            if (isBest)
            {
                best.Take();
                bestEpoch = epoch;
            }

            history.Add(record);
            observer.Epoch(record, isBest);
            if (stopping.ShouldStop)
            {
                ending = TrainingResult.EarlyStop;
                break;
            }
        }

        best.PutBack();
        classifier.eval();
        return new TrainingResult(history, bestEpoch, ending);
    }

    private EpochRecord TrainEpoch(PictureData data, int epoch, int stepsInEpoch, optim.Optimizer optimizer, CancellationToken stop)
    {
        var started = Stopwatch.GetTimestamp();
        double lossSum = 0, learningRate = 0;
        long right = 0, seen = 0, step = 0;
        using var pause = new CollectionPause();
        foreach (var batch in BatchLoader.Training(data.Training, recipe.BatchSize, recipe.Augmentation, seed, epoch, stop))
        {
            using (batch)
            using (NewDisposeScope())
            {
                stop.ThrowIfCancellationRequested();
                pause.BetweenSteps();
                learningRate = CosineDecay.At(recipe.LearningRate, ((long)(epoch - 1) * stepsInEpoch) + step, (long)recipe.Epochs * stepsInEpoch);
                foreach (var group in optimizer.ParamGroups) group.LearningRate = learningRate;
                var (loss, correct) = Step(batch, optimizer);
                if (!double.IsFinite(loss))
                    throw new UserException($"the loss is {loss} at step {step + 1} of epoch {epoch} (learning rate {learningRate:G3}): training diverged. Lower --lr, or keep gradient clipping on.");
                lossSum += loss * batch.Labels.shape[0];
                right += correct;
                seen += batch.Labels.shape[0];
                step++;
                observer.Step(epoch, step, stepsInEpoch, lossSum / seen, learningRate, seen / Stopwatch.GetElapsedTime(started).TotalSeconds);
            }
        }

        stop.ThrowIfCancellationRequested();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var validation = Evaluation.Of(classifier, data.Validation, stop);
        return new EpochRecord(epoch, lossSum / seen, (double)right / seen, validation.Loss, validation.Accuracy, learningRate, seen / seconds, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    private (double Loss, long Correct) Step(Batch batch, optim.Optimizer optimizer)
    {
        optimizer.zero_grad();
        var logits = classifier.Logits(batch.Pixels);
        using var targets = SoftTargets.Smooth(batch.Labels, (int)logits.shape[1], recipe.LabelSmoothing);
        var loss = SoftTargets.CrossEntropy(logits, targets);
        loss.backward();
        if (recipe.GradientClipping > 0) nn.utils.clip_grad_norm_(classifier.parameters(), recipe.GradientClipping);
        optimizer.step();
        return (loss.ToDouble(), logits.argmax(1).eq(batch.Labels).sum().ToInt64());
    }
}
