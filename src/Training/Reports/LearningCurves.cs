using OxyPlot;
using OxyPlot.Axes;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>Losses and accuracies over the epochs, as a picture.</summary>
internal static class LearningCurves
{
    /// <summary>The picture of a run, which says in its file whose it is.</summary>
    /// <param name="training">The run's history.</param>
    /// <param name="runId">Goes into the file, so that a picture is known to be of this run.</param>
    public static Figure Of(TrainingResult training, string runId) =>
        Of(training.History, training.BestEpoch) with
        {
            About = $"Run {runId}",
        };

    /// <summary>The picture: losses above, accuracies below.</summary>
    /// <param name="history">A record an epoch.</param>
    /// <param name="bestEpoch">Marked by a line; 0 for none.</param>
    public static Figure Of(IReadOnlyList<EpochRecord> history, int bestEpoch) =>
        new("curves", 900, 640) { Plot = () => Plot(history, bestEpoch) };

    /// <summary>Two panels over one axis of epochs.</summary>
    /// <param name="history">A record an epoch.</param>
    /// <param name="bestEpoch">Marked by a line; 0 for none.</param>
    private static PlotModel Plot(IReadOnlyList<EpochRecord> history, int bestEpoch)
    {
        var plot = PlotStyle.Plot(
            "Learning curves",
            $"kept weights: epoch {bestEpoch}. Training is measured on pictures and labels as the recipe changes them."
        );
        var epochs = PlotStyle.Axis(false, AxisPosition.Bottom, "epoch");
        epochs.MinimumMajorStep = 1;
        epochs.MinimumMinorStep = 1;
        plot.Axes.Add(epochs);
        plot.Axes.Add(Panel("loss", "loss", 0.53, 1));
        plot.Axes.Add(Panel("accuracy", "accuracy, %", 0, 0.47));
        PlotStyle.AddLegend(plot);
        Add("training loss", "loss", 0, record => record.TrainingLoss);
        Add("validation loss", "loss", 1, record => record.ValidationLoss);
        Add("training accuracy", "accuracy", 2, record => 100 * record.TrainingAccuracy);
        Add("validation accuracy", "accuracy", 3, record => 100 * record.ValidationAccuracy);
        return plot;

        void Add(string title, string axis, int series, Func<EpochRecord, double> figure)
        {
            var line = PlotStyle.Line(title, series, history.Select(record => ((double)record.Epoch, figure(record))));
            line.YAxisKey = axis;
            plot.Series.Add(line);
        }
    }

    /// <summary>The vertical axis of a panel.</summary>
    /// <param name="key">What its lines refer to.</param>
    /// <param name="title">Beside it.</param>
    /// <param name="start">Share of the height at which it begins.</param>
    /// <param name="end">Share of the height at which it ends.</param>
    private static Axis Panel(string key, string title, double start, double end)
    {
        var axis = PlotStyle.Axis(false, AxisPosition.Left, title);
        axis.Key = key;
        axis.StartPosition = start;
        axis.EndPosition = end;
        return axis;
    }
}
