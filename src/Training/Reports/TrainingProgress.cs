using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>Shows a run: a live bar in a terminal, a line an epoch where the output goes to a file.</summary>
internal sealed class TrainingProgress : ITrainingObserver
{
    private readonly IAnsiConsole console;
    private readonly int epochs;
    private readonly ProgressTask? bar;

    private TrainingProgress(IAnsiConsole console, int epochs, ProgressTask? bar) => (this.console, this.epochs, this.bar) = (console, epochs, bar);

    /// <summary>Runs a training under a display.</summary>
    public static TrainingResult Run(IAnsiConsole console, int epochs, Func<ITrainingObserver, TrainingResult> train)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected) return train(new TrainingProgress(console, epochs, null));
        return console.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => train(new TrainingProgress(console, epochs, context.AddTask("epoch 1", maxValue: epochs))));
    }

    /// <inheritdoc/>
    public void Step(int epoch, long step, long stepsInEpoch, double loss, double learningRate, double imagesPerSecond)
    {
        if (bar is null) return;
        bar.Value = epoch - 1 + ((double)step / stepsInEpoch);
        bar.Description = string.Create(CultureInfo.InvariantCulture, $"epoch {epoch}/{epochs}  loss {loss:F3}  lr {learningRate:G3}  {imagesPerSecond:F0} images/s");
    }

    /// <inheritdoc/>
    public void Epoch(EpochRecord record, bool isBest)
    {
        var left = TimeSpan.FromSeconds(record.Seconds * (epochs - record.Epoch));
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"epoch {record.Epoch,3}/{epochs}  loss {record.TrainingLoss:F4} / {record.ValidationLoss:F4}  accuracy {record.TrainingAccuracy,6:P1} / {record.ValidationAccuracy,6:P1}  lr {record.LearningRate:E1}  {record.ImagesPerSecond,4:F0} images/s  {(int)left.TotalMinutes}:{left.Seconds:D2} left{(isBest ? "  *" : "")}"));
    }
}
