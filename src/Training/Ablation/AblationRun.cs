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

/// <summary>Everything that determines a run; the same request gives the same result on the same kind of
/// machine.</summary>
/// <param name="Configuration">The configuration to train.</param>
/// <param name="Data">The data, named as for <c>--data</c>.</param>
/// <param name="Pictures">Number of training pictures.</param>
/// <param name="Seed">Seed of the drawn pictures or the split, the initialization, the order and the dropout.</param>
internal sealed record RunRequest(RunConfiguration Configuration, string Data, int Pictures, int Seed)
{
    /// <summary>Precision of the computation; float32 gives the same sums on every machine.</summary>
    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>Hash of the pictures, independent of the split; null if the program generates or verifies them
    /// itself.</summary>
    public string? Content { get; init; }

    /// <summary>The program version that does it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;

    /// <summary>A hash of the whole request, used as a file name.</summary>
    [JsonIgnore]
    public string Key => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Json.Text(this))))[..20];
}

/// <summary>The result of a run. Accuracies are measured in eval mode on whole pictures.</summary>
/// <param name="Request">The request.</param>
/// <param name="TrainingAccuracy">Accuracy on the unchanged training pictures.</param>
/// <param name="ValidationAccuracy">Validation accuracy, on which decisions are based.</param>
/// <param name="TestAccuracy">Test accuracy, measured once at the end.</param>
/// <param name="CalibrationError">Expected calibration error on the test part.</param>
/// <param name="BestEpoch">The epoch whose weights were kept.</param>
/// <param name="ValidationCurve">Validation accuracy by epoch.</param>
/// <param name="Diverged">Whether the loss became NaN or infinite; the accuracies are then those of guessing.</param>
/// <param name="Seconds">Duration in seconds.</param>
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

/// <summary>The intermediate state of an unfinished run.</summary>
/// <param name="Request">The request.</param>
/// <param name="Epochs">Number of epochs trained so far.</param>
/// <param name="ValidationAccuracy">Validation accuracy of the weights that would be kept if the run ended here; that
/// of guessing if it diverged.</param>
/// <param name="ValidationCurve">Validation accuracy by epoch; shorter if it stopped early.</param>
/// <param name="Diverged">Whether the loss became NaN or infinite.</param>
internal sealed record RungResult(
    RunRequest Request,
    int Epochs,
    double ValidationAccuracy,
    IReadOnlyList<double> ValidationCurve,
    bool Diverged
);

/// <summary>Does one run in this process, with one libtorch thread.</summary>
internal static class AblationRun
{
    private const int MostValidation = 250;
    private const int DrawnTest = 1000;

    /// <summary>Trains and evaluates.</summary>
    /// <param name="request">The run.</param>
    /// <param name="stop">Cancels between two steps.</param>
    /// <param name="checkpointPath">Path of a checkpoint that is written after each epoch; if it exists at the start,
    /// the run continues from it with bit-identical results. Null for none.</param>
    /// <returns>The results of the weights that were kept; a run that diverged is marked and has the accuracy of
    /// guessing.</returns>
    /// <exception cref="UserException">The data does not exist, or its pictures are not the requested
    /// ones.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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

    /// <summary>Trains up to an epoch, and writes a checkpoint from which the run can continue. The test part is not
    /// used.</summary>
    /// <param name="request">The run.</param>
    /// <param name="epochs">The epoch, from 1. The learning-rate schedule is that of all epochs.</param>
    /// <param name="checkpointPath">Path of the checkpoint, before and after; a checkpoint of a later epoch is
    /// accepted.</param>
    /// <param name="stop">Cancels between two steps.</param>
    /// <exception cref="UserException">The data does not exist, or its pictures are not the requested
    /// ones.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static RungResult Until(RunRequest request, int epochs, string checkpointPath, CancellationToken stop)
    {
        var data = Load(request);
        using var model = Model(request, data);
        if (Train(model, data, checkpointPath, epochs, stop) is not { } training)
            return new RungResult(request, epochs, 1.0 / data.ClassNames.Count, [], Diverged: true);
        // The checkpoint may come from a worker that had got further.
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
        // One thread, so that sums have the same order however many runs share the machine.
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

    /// <summary>Trains; null if the run diverged.</summary>
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

    /// <summary>The checkpoint of a run that was started before; null if there is none or if it is damaged, in which
    /// case the run starts from scratch.</summary>
    private static Checkpoint? Unfinished(string path, ModelSettings settings)
    {
        if (!File.Exists(path))
            return null;
        Checkpoint? checkpoint = null;
        try
        {
            checkpoint = Checkpoint.Read(path);
            // It is named by a hash of the request, so other settings mean that the file was put there manually.
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
    /// Loads the pictures of a run and checks them against the hash in the request, so that a child process does not
    /// train on other pictures.
    /// </summary>
    /// <param name="request">The run.</param>
    private static PictureData Load(RunRequest request)
    {
        if (request.Data == DataSource.Drawn)
            return DrawnPictures.Make(request.Seed, request.Pictures, MostValidation, DrawnTest);
        var data = DataSource.Load(request.Data, 32, request.Seed).Data;
        if (DataFingerprint.ContentOf(data) != request.Content)
            throw new UserException(
                $"The pictures in {request.Data} have changed since the ablation began. Start it again; finished "
                    + $"runs are stored and are not mixed with runs on other pictures."
            );
        PictureSet Some(PictureSet set, int count, int key) => set.Sample(count, new Draw(request.Seed, 43, key));
        return data with
        {
            Training = Some(data.Training, request.Pictures, 1),
            Validation = Some(data.Validation, MostValidation, 2),
        };
    }
}
