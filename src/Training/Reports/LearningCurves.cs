using OxyPlot;
using OxyPlot.Axes;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>A figure with losses and accuracies over the epochs.</summary>
internal static class LearningCurves
{
    /// <summary>The figure of a run, with the run's id in its file.</summary>
    /// <param name="training">The run's history.</param>
    /// <param name="runId">Id of the run, written to the file.</param>
    public static Figure Of(TrainingResult training, string runId) =>
        Of(training.History, training.BestEpoch) with
        {
            About = $"Run {runId}",
        };

    /// <summary>The figure: losses at the top, accuracies at the bottom.</summary>
    /// <param name="history">One record per epoch.</param>
    /// <param name="bestEpoch">The epoch to mark with a line; 0 for none.</param>
    public static Figure Of(IReadOnlyList<EpochRecord> history, int bestEpoch) =>
        new("curves", 900, 640) { Plot = () => Plot(history, bestEpoch) };

    /// <summary>Two panels with a common epoch axis.</summary>
    /// <param name="history">One record per epoch.</param>
    /// <param name="bestEpoch">The epoch to mark with a line; 0 for none.</param>
    private static PlotModel Plot(IReadOnlyList<EpochRecord> history, int bestEpoch)
    {
        var plot = PlotStyle.Plot(
            "Learning curves",
            $"kept weights: epoch {bestEpoch}. Training values are measured on augmented pictures and smoothed "
                + $"labels."
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
    /// <param name="key">Key by which its lines refer to the axis.</param>
    /// <param name="title">Title of the axis.</param>
    /// <param name="start">Relative height at which it starts.</param>
    /// <param name="end">Relative height at which it ends.</param>
    private static Axis Panel(string key, string title, double start, double end)
    {
        var axis = PlotStyle.Axis(false, AxisPosition.Left, title);
        axis.Key = key;
        axis.StartPosition = start;
        axis.EndPosition = end;
        return axis;
    }
}
