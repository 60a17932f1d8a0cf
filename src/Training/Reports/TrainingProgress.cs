using System.Globalization;
using Spectre.Console;
using TorchBridge.Onnx;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Reports;

/// <summary>Shows the progress of a run: a live bar on a terminal, or one line per epoch if the output is
/// redirected.</summary>
internal sealed class TrainingProgress : ITrainingObserver
{
    private readonly IAnsiConsole console;
    private readonly Recipe recipe;
    private readonly int side;

    /// <summary>Where bars are shown; null if the output is redirected.</summary>
    private readonly ProgressContext? bars;

    private ProgressTask? epochs;
    private ProgressTask? features;

    private TrainingProgress(IAnsiConsole console, ModelSettings settings, ProgressContext? bars)
    {
        this.console = console;
        this.bars = bars;
        recipe = settings.Recipe;
        side = settings.Network.Height;
    }

    /// <summary>Runs a training and shows its progress.</summary>
    /// <param name="console">The console.</param>
    /// <param name="settings">Settings of the run.</param>
    /// <param name="train">Trains and notifies the given observer.</param>
    public static TrainingResult Run(
        IAnsiConsole console,
        ModelSettings settings,
        Func<ITrainingObserver, TrainingResult> train
    )
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
            return train(new TrainingProgress(console, settings, null));
        return console
            .Progress()
            .Columns(
                new TaskDescriptionColumn(),
                new ProgressBarColumn(),
                new PercentageColumn(),
                new RemainingTimeColumn()
            )
            .Start(context => train(new TrainingProgress(console, settings, context)));
    }

    /// <inheritdoc/>
    public void Step(int epoch, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond)
    {
        if (bars is null)
            return;
        // Added with the first step, so that the time left does not count what came before.
        epochs ??= bars.AddTask("epoch 1", maxValue: recipe.Epochs);
        epochs.Value = epoch - 1 + ((double)step / stepsInEpoch);
        epochs.Description = string.Create(
            CultureInfo.InvariantCulture,
            $"epoch {epoch}/{recipe.Epochs}  loss {loss:F3}  lr {Numbers.Short(learningRate)}  {imagesPerSecond:F0} images/s"
        );
    }

    /// <inheritdoc/>
    public void Epoch(EpochRecord record, bool isBest)
    {
        var left = TimeSpan.FromSeconds(
            record.Seconds
                / Cost(record.Epoch)
                * Enumerable.Range(record.Epoch + 1, recipe.Epochs - record.Epoch).Sum(Cost)
        );
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"epoch {record.Epoch, 3}/{recipe.Epochs}  loss {record.TrainingLoss:F4} / "
                    + $"{record.ValidationLoss:F4}  accuracy {record.TrainingAccuracy, 6:P1} / "
                    + $"{record.ValidationAccuracy, 6:P1}  lr {Numbers.Short(record.LearningRate, 1)}  "
                    + $"{record.ImagesPerSecond, 4:F0} images/s  {(int)left.TotalMinutes}:{left.Seconds:D2} "
                    + $"left{(isBest ? "  *" : "")}"
            )
        );
    }

    /// <inheritdoc/>
    public void Features(int view, int views, int done, int count)
    {
        if (bars is not null)
        {
            features ??= bars.AddTask("features", maxValue: (double)views * count);
            features.Value = ((double)view * count) + done;
            features.Description = string.Create(
                CultureInfo.InvariantCulture,
                $"features, view {view + 1} of {views}: {done:N0} of {count:N0}"
            );
            // The next set of pictures has a bar of its own.
            if (view == views - 1 && done == count)
                features = null;
        }
        else if (done == count)
            console.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"features, view {view + 1} of {views}: {done:N0} pictures")
            );
    }

    /// <summary>Writes a sentence on a separate line.</summary>
    /// <param name="text">The sentence.</param>
    public void Note(string text) => console.WriteLine(text);

    /// <summary>The cost of an epoch relative to one on whole pictures: its share of the pixels.</summary>
    /// <param name="epoch">Number of the epoch, from 1.</param>
    private double Cost(int epoch) =>
        recipe.WindowAt(epoch) is > 0 and var window && window < side ? (double)window * window / (side * side) : 1;
}
