using System.Diagnostics;
using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.Data;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Regularization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Optimization;

/// <summary>The results of an epoch, with the resident size of the process at its end. Losses are means over samples;
/// the training loss is the minimized one, with smoothed and mixed targets.</summary>
internal sealed record EpochRecord(
    int Epoch,
    double TrainingLoss,
    double TrainingAccuracy,
    double ValidationLoss,
    double ValidationAccuracy,
    double LearningRate,
    double ImagesPerSecond,
    double Seconds,
    double ResidentMegabytes
);

/// <summary>The result of a training run.</summary>
/// <param name="History">One record per epoch.</param>
/// <param name="BestEpoch">The epoch whose weights are kept.</param>
/// <param name="Ending">Why it ended: all epochs, early stopping, stopped by the user, paused.</param>
internal sealed record TrainingResult(IReadOnlyList<EpochRecord> History, int BestEpoch, string Ending)
{
    /// <summary>All epochs were trained.</summary>
    public const string AllEpochs = "all epochs";

    /// <summary>The validation loss did not improve for as many epochs as the patience.</summary>
    public const string EarlyStop = "early stopping";

    /// <summary>Ctrl-C; the best weights so far are kept.</summary>
    public const string StoppedByUser = "stopped by the user";

    /// <summary>The run will be continued later from its checkpoint.</summary>
    public const string Paused = "paused";
}

/// <summary>Receives the progress of training.</summary>
internal interface ITrainingObserver
{
    /// <summary>Called after a step.</summary>
    void Step(int epoch, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond);

    /// <summary>Called after an epoch.</summary>
    void Epoch(EpochRecord record, bool isBest);

    /// <summary>Called while features are computed.</summary>
    void Features(int view, int views, int done, int count) { }

    /// <summary>Called with a message.</summary>
    void Note(string text) { }
}

/// <summary>Ignores all progress.</summary>
internal sealed class SilentObserver : ITrainingObserver
{
    public void Step(
        int epoch,
        long step,
        long stepsInEpoch,
        double loss,
        double learningRate,
        double imagesPerSecond
    ) { }

    public void Epoch(EpochRecord record, bool isBest) { }
}

/// <summary>Trains a model by its recipe. After each epoch the best weights are kept, and a checkpoint is written if
/// requested.</summary>
internal sealed class Trainer(TrainedModel model, ITrainingObserver observer, string? checkpointPath = null)
{
    private readonly Recipe recipe = model.Settings.Recipe;

    /// <summary>The epoch after which the run pauses, from 1; null for never. The learning-rate schedule is still
    /// that of all epochs.</summary>
    public int? PauseAfter { get; init; }

    /// <summary>Trains all epochs, unless early stopping or <paramref name="stop"/> ends it before. The network then
    /// has its best weights.</summary>
    /// <param name="data">Pictures at the model's size.</param>
    /// <param name="resumed">The checkpoint to resume from, or null.</param>
    /// <param name="stop">Stops the run early.</param>
    /// <exception cref="UserException">The loss has become NaN or infinite, or a checkpoint cannot be
    /// written.</exception>
    public TrainingResult Train(PictureData data, Checkpoint? resumed = null, CancellationToken stop = default)
    {
        if (checkpointPath is not null)
            FileSet.Recover(Path.GetDirectoryName(Path.GetFullPath(checkpointPath))!);
        model.Settings.Compute.Apply();
        if (resumed is null && model.Settings.Start is null)
            model.Network.StartFrom(data.Training, model.Settings.Statistics);
        model.Classifier.to(model.Settings.Compute.Device);
        try
        {
            if (recipe.Tuning.What == TuneKind.All && resumed is null)
                TrainHead(data, stop);
            using ITrainingWork work =
                recipe.Tuning.What == TuneKind.Head
                    ? FeatureWork.Of(model, data, observer, stop)
                    : new PictureWork(model, data);
            return Train(work, resumed, stop);
        }
        catch (OperationCanceledException)
        {
            return new TrainingResult([], 0, TrainingResult.StoppedByUser);
        }
        finally
        {
            model.Classifier.to("cpu");
            model.Classifier.eval();
        }
    }

    /// <summary>
    /// Trains only the classifier before everything is trained, because the gradients of a new classifier would
    /// damage the features of the backbone.
    /// </summary>
    /// <param name="data">Training and validation parts.</param>
    /// <param name="stop">Cancels between two steps.</param>
    private void TrainHead(PictureData data, CancellationToken stop)
    {
        var tuning = recipe.Tuning;
        var headRecipe = new Recipe
        {
            Epochs = tuning.HeadEpochs,
            BatchSize = recipe.BatchSize,
            LearningRate = tuning.HeadLearningRate,
            LabelSmoothing = recipe.LabelSmoothing,
            Patience = 0,
            Tuning = tuning,
        };
        using var work = FeatureWork.Of(model, data, observer, stop);
        using var state = new TrainingState(work.Trained, headRecipe);
        for (var epoch = 1; epoch <= headRecipe.Epochs; epoch++)
            TrainEpoch(work, headRecipe, epoch, state, new SilentObserver(), stop);
        state.Best.PutBack();
        var last = state.History[^1];
        observer.Note(
            string.Create(
                CultureInfo.InvariantCulture,
                $"classifier only, {headRecipe.Epochs} epochs: loss {last.TrainingLoss:F4} / "
                    + $"{last.ValidationLoss:F4}  accuracy {last.TrainingAccuracy:P1} / "
                    + $"{last.ValidationAccuracy:P1}"
            )
        );
    }

    /// <summary>
    /// Trains the epochs, with evaluation, best weights, early stopping and checkpoints.
    /// </summary>
    /// <param name="work">Provides the batches and the network.</param>
    /// <param name="resumed">The checkpoint of a resumed run; null for a new one.</param>
    /// <param name="stop">Cancels between two steps.</param>
    private TrainingResult Train(ITrainingWork work, Checkpoint? resumed, CancellationToken stop)
    {
        using var state = new TrainingState(work.Trained, recipe, work.RateOf, model.Settings.Compute.Dtype);
        resumed?.RestoreInto(state);
        var ending = TrainingResult.AllEpochs;
        for (var epoch = state.History.Count + 1; epoch <= recipe.Epochs; epoch++)
        {
            if (state.Stopping.ShouldStop)
            {
                ending = TrainingResult.EarlyStop;
                break;
            }

            if (epoch > PauseAfter)
            {
                ending = TrainingResult.Paused;
                break;
            }

            try
            {
                TrainEpoch(work, recipe, epoch, state, observer, stop);
            }
            catch (OperationCanceledException)
            {
                ending = TrainingResult.StoppedByUser;
                break;
            }

            // Before the observer is notified, so that a reported epoch is always saved.
            if (checkpointPath is not null)
                Checkpoint.Write(checkpointPath, model.Settings, state);
            observer.Epoch(state.History[^1], state.BestEpoch == epoch);
        }

        state.Best.PutBack();
        return new TrainingResult(state.History, state.BestEpoch, ending);
    }

    /// <summary>Trains one epoch, and notifies the observer after each step.</summary>
    /// <param name="work">Provides the batches and the network.</param>
    /// <param name="recipe">Batch size, schedule, clipping.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="state">State of the run, changed by every step.</param>
    /// <param name="observer">Notified after each step.</param>
    /// <param name="stop">Cancels between two steps.</param>
    private void TrainEpoch(
        ITrainingWork work,
        Recipe recipe,
        int epoch,
        TrainingState state,
        ITrainingObserver observer,
        CancellationToken stop
    )
    {
        var started = Stopwatch.GetTimestamp();
        var stepsInEpoch = TrainingBatches.Count(work.Count, recipe.BatchSize);
        double lossSum = 0,
            learningRate = 0;
        long right = 0,
            seen = 0;
        work.EnterTraining(epoch);
        using (var pause = new CollectionPause())
        {
            foreach (var batch in work.Batches(recipe, epoch, stop))
            {
                using var scope = NewDisposeScope();
                using (batch)
                {
                    stop.ThrowIfCancellationRequested();
                    pause.BetweenSteps();
                    learningRate = LearningRateSchedule.At(
                        recipe.Schedule,
                        recipe.LearningRate,
                        ((long)(epoch - 1) * stepsInEpoch) + batch.Index,
                        (long)recipe.Epochs * stepsInEpoch,
                        (long)(recipe.WarmUpEpochs * stepsInEpoch),
                        recipe.EndRate
                    );
                    var (loss, correct) = Step(work, recipe, batch, epoch, learningRate, state);
                    if (!double.IsFinite(loss))
                        throw Diverged(loss, batch.Index + 1, epoch, learningRate);
                    var count = batch.Labels.shape[0];
                    lossSum += loss * count;
                    right += correct;
                    seen += count;
                    observer.Step(
                        epoch,
                        batch.Index + 1,
                        stepsInEpoch,
                        lossSum / seen,
                        learningRate,
                        seen / Stopwatch.GetElapsedTime(started).TotalSeconds
                    );
                }
            }
        }

        stop.ThrowIfCancellationRequested();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        Evaluation Validate()
        {
            var validation = work.Validate(stop);
            RefuseNotFinite(work.Trained, validation, epoch);
            if (state.Stopping.Improved(validation.Loss) || recipe.Patience == 0)
            {
                state.Best.Take();
                state.BestEpoch = epoch;
            }

            return validation;
        }

        var validation = state.Average is { } average ? average.Within(Validate) : Validate();
        state.History.Add(
            new EpochRecord(
                epoch,
                lossSum / seen,
                (double)right / seen,
                validation.Loss,
                validation.Accuracy,
                learningRate,
                seen / seconds,
                Stopwatch.GetElapsedTime(started).TotalSeconds,
                Environment.WorkingSet / 1e6
            )
        );
    }

    /// <summary>Runs forward and backward and makes one step of the optimizer and of the average.</summary>
    /// <param name="work">Computes logits and targets.</param>
    /// <param name="recipe">Label smoothing and mixing.</param>
    /// <param name="batch">Pictures or features.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="learningRate">Learning rate of this step.</param>
    /// <param name="state">State of the run, which is changed.</param>
    /// <returns>The batch's mean loss, and the number of correctly classified pictures; for mixed targets, the class
    /// with the larger share counts.</returns>
    private static (double Loss, long Correct) Step(
        ITrainingWork work,
        Recipe recipe,
        PictureBatch batch,
        int epoch,
        double learningRate,
        TrainingState state
    )
    {
        state.Optimizer.ZeroGradients();
        var (logits, targets) = work.Forward(batch, recipe, epoch);
        var loss = SoftTargets.CrossEntropy(logits, targets);
        loss.backward();
        state.Optimizer.Step(learningRate);
        state.Average?.Update(state.Optimizer.Steps);
        // For a mixed picture, the class with the larger share counts.
        return (loss.ToDouble(), logits.argmax(1).eq(targets.argmax(1)).sum().ToInt64());
    }

    /// <summary>
    /// Refuses values that are not finite: a NaN validation loss would compare as not better, and the first weights
    /// would be kept as the best.
    /// </summary>
    /// <param name="trained">The trained module; its running statistics are checked too.</param>
    /// <param name="validation">Results of the epoch.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <exception cref="TrainingDivergedException">A value is not finite.</exception>
    private void RefuseNotFinite(nn.Module trained, Evaluation validation, int epoch)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (!double.IsFinite(validation.Loss))
            throw Diverged(
                FormattableString.Invariant($"the validation loss is {validation.Loss} after epoch {epoch}")
            );
        foreach (var (name, value) in trained.state_dict())
        {
            if (value.is_floating_point() && !value.isfinite().all().ToBoolean())
                throw Diverged(
                    FormattableString.Invariant($"'{name}' contains values that are not finite after epoch {epoch}")
                );
        }
    }

    /// <summary>Creates the exception for a loss that is not finite, with the step.</summary>
    /// <param name="loss">The loss.</param>
    /// <param name="step">Number of the step in the epoch, from 1.</param>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    /// <param name="learningRate">Learning rate of that step.</param>
    private TrainingDivergedException Diverged(double loss, int step, int epoch, double learningRate) =>
        Diverged(
            string.Create(
                CultureInfo.InvariantCulture,
                $"the loss is {loss} at step {step} of epoch {epoch} (learning rate {Numbers.Short(learningRate)})"
            )
        );

    /// <summary>Creates the exception with the remedy.</summary>
    /// <param name="what">Description of what is not finite.</param>
    private TrainingDivergedException Diverged(string what) =>
        new(
            $"{what}: training diverged. Lower --lr, or keep gradient clipping on."
                + (
                    checkpointPath is not null && File.Exists(checkpointPath)
                        ? $" The checkpoint of the last good epoch is {checkpointPath}."
                        : ""
                )
        );
}
