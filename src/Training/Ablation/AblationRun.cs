using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;
using TorchSharp;

namespace TorchBridge.Training.Ablation;

/// <summary>Everything that decides a run; the same request gives the same result on the same kind of
/// machine.</summary>
/// <param name="Configuration">What is trained.</param>
/// <param name="Data">What <c>--data</c> names.</param>
/// <param name="Pictures">Training pictures.</param>
/// <param name="Seed">Seed of the drawing or the split, the start, the order, the dropout.</param>
internal sealed record RunRequest(RunConfiguration Configuration, string Data, int Pictures, int Seed)
{
    /// <summary>What is computed in; float32 gives the same sums on every machine.</summary>
    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>What the pictures are, whatever the split; null where the program makes them, or checks them
    /// itself.</summary>
    public string? Content { get; init; }

    /// <summary>The program that does it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;

    /// <summary>A name for the request's file: a hash of all of it.</summary>
    [JsonIgnore]
    public string Key => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Json.Text(this))))[..20];
}

/// <summary>What a run gave. Accuracies are in eval mode on whole pictures.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="TrainingAccuracy">On the training pictures as they are.</param>
/// <param name="ValidationAccuracy">What choices look at.</param>
/// <param name="TestAccuracy">Read once, at the end.</param>
/// <param name="CalibrationError">Expected calibration error on the test part.</param>
/// <param name="BestEpoch">The epoch whose weights these are.</param>
/// <param name="ValidationCurve">Validation accuracy by epoch.</param>
/// <param name="Diverged">Whether the loss was not a number any more: then the accuracies are those of
/// guessing.</param>
/// <param name="Seconds">How long it took.</param>
internal sealed record RunResult(
    RunRequest Request,
    double TrainingAccuracy,
    double ValidationAccuracy,
    double TestAccuracy,
    double CalibrationError,
    int BestEpoch,
    IReadOnlyList<double> ValidationCurve,
    bool Diverged,
    double Seconds
);

/// <summary>How far a run is that has not come to its end.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="Epochs">The epoch after which it was looked at.</param>
/// <param name="ValidationAccuracy">Validation accuracy of the weights that it would keep if it ended there; of one that diverged, that of
/// guessing.</param>
/// <param name="ValidationCurve">Validation accuracy by epoch; shorter where it stopped early.</param>
/// <param name="Diverged">Whether the loss was not a number any more.</param>
internal sealed record RungResult(
    RunRequest Request,
    int Epochs,
    double ValidationAccuracy,
    IReadOnlyList<double> ValidationCurve,
    bool Diverged
);

/// <summary>Does one run, in this process, with one thread of libtorch.</summary>
internal static class AblationRun
{
    private const int MostValidation = 250;
    private const int DrawnTest = 1000;

    /// <summary>Trains and evaluates.</summary>
    /// <param name="request">What decides the run.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <param name="checkpointPath">Where a checkpoint is written after each epoch, and looked for at the beginning: the
    /// run goes on from it, to the same bits. Null for none.</param>
    /// <returns>The figures of the weights that training kept; a run that diverges has the accuracy of guessing, and
    /// is marked.</returns>
    /// <exception cref="UserException">The data is not there, or its pictures are not those that were asked
    /// for.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static RunResult Do(RunRequest request, CancellationToken stop, string? checkpointPath = null)
    {
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        var data = Load(request);
        using var model = Model(request, data);
        if (Train(model, data, checkpointPath, null, stop) is not { } training)
        {
            var guess = 1.0 / data.ClassNames.Count;
            return new RunResult(request, guess, guess, guess, 0, 0, [], Diverged: true, Seconds());
        }

        var test = Evaluation.Of(model.Classifier, data.Test, stop);
        return new RunResult(
            request,
            Evaluation.Of(model.Classifier, data.Training, stop).Accuracy,
            Evaluation.Of(model.Classifier, data.Validation, stop).Accuracy,
            test.Accuracy,
            TestFigures.Of(test, data.Test, data.ClassNames).CalibrationError,
            training.BestEpoch,
            [.. training.History.Select(epoch => epoch.ValidationAccuracy)],
            Diverged: false,
            Seconds()
        );

        double Seconds() => System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Trains up to an epoch, and leaves a checkpoint from which the run goes on. The test part is not
    /// looked at.</summary>
    /// <param name="request">What decides the run.</param>
    /// <param name="epochs">The epoch, from 1. The schedule is that of all epochs.</param>
    /// <param name="checkpointPath">Where the checkpoint is, before and after; one of a later epoch is as good.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <exception cref="UserException">The data is not there, or its pictures are not those that were asked
    /// for.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static RungResult Until(RunRequest request, int epochs, string checkpointPath, CancellationToken stop)
    {
        var data = Load(request);
        using var model = Model(request, data);
        if (Train(model, data, checkpointPath, epochs, stop) is not { } training)
            return new RungResult(request, epochs, 1.0 / data.ClassNames.Count, [], Diverged: true);
        // The checkpoint may be of a worker that had gone further.
        var history = training.History.Take(epochs).ToArray();
        var kept =
            request.Configuration.Training.Patience == 0 ? history[^1] : history.MinBy(epoch => epoch.ValidationLoss)!;
        return new RungResult(
            request,
            epochs,
            kept.ValidationAccuracy,
            [.. history.Select(epoch => epoch.ValidationAccuracy)],
            Diverged: false
        );
    }

    private static TrainedModel Model(RunRequest request, PictureData data)
    {
        // One thread: sums are then in one order, however many runs share the machine.
        torch.set_num_threads(1);
        var network = request.Configuration.Network with
        {
            Classes = data.ClassNames.Count,
            Height = data.Training.Height,
            Width = data.Training.Width,
        };
        return new TrainedModel(
            new ModelSettings(
                network,
                request.Configuration.Training,
                new ComputeOptions(request.Precision, 1, "cpu"),
                request.Seed,
                request.Data,
                null,
                data.ClassNames,
                ChannelStatistics.Of(data.Training)
            )
        );
    }

    /// <summary>Trains; null where the run diverged.</summary>
    private static TrainingResult? Train(
        TrainedModel model,
        PictureData data,
        string? checkpointPath,
        int? pauseAfter,
        CancellationToken stop
    )
    {
        try
        {
            using var resumed = checkpointPath is null ? null : Unfinished(checkpointPath, model.Settings);
            var training = new Trainer(model, new SilentObserver(), checkpointPath) { PauseAfter = pauseAfter }.Train(
                data,
                resumed,
                stop
            );
            stop.ThrowIfCancellationRequested();
            return training;
        }
        catch (TrainingDivergedException)
        {
            return null;
        }
    }

    /// <summary>The checkpoint of a run that was begun before; null where there is none, or where it is broken: then the
    /// run begins anew.</summary>
    private static Checkpoint? Unfinished(string path, ModelSettings settings)
    {
        if (!File.Exists(path))
            return null;
        Checkpoint? checkpoint = null;
        try
        {
            checkpoint = Checkpoint.Read(path);
            // It is named by a hash of the request: other settings were put there by hand.
            if (checkpoint.Settings.RunId == settings.RunId)
                return checkpoint;
        }
        catch (UserException)
        {
            // broken
        }

        checkpoint?.Dispose();
        return null;
    }

    /// <summary>
    /// The pictures of a run, checked against the hash that the request holds: a child process must not train on
    /// others.
    /// </summary>
    /// <param name="request">The run.</param>
    private static PictureData Load(RunRequest request)
    {
        if (request.Data == DataSource.Drawn)
            return DrawnPictures.Make(request.Seed, request.Pictures, MostValidation, DrawnTest);
        var data = DataSource.Load(request.Data, 32, request.Seed).Data;
        if (DataFingerprint.ContentOf(data) != request.Content)
            throw new UserException(
                $"The pictures in {request.Data} are not those any more that the ablation began with. Start it again: what "
                    + "is finished is stored, and is not mixed with runs on other pictures."
            );
        PictureSet Some(PictureSet set, int count, int key) => set.Sample(count, new Draw(request.Seed, 43, key));
        return data with
        {
            Training = Some(data.Training, request.Pictures, 1),
            Validation = Some(data.Validation, MostValidation, 2),
        };
    }
}
