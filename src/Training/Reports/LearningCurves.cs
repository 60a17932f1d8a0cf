using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>Losses and accuracies over the epochs, as a picture.</summary>
internal static class LearningCurves
{
    /// <summary>Writes the curves as SVG and PNG.</summary>
    public static void Write(ModelFolder folder, IReadOnlyList<EpochRecord> history, int bestEpoch) =>
        PlotFile.Write(folder.Picture("curves"), () => Plot(history, bestEpoch), 900, 640);

    /// <summary>The plot alone.</summary>
    public static PlotModel Plot(IReadOnlyList<EpochRecord> history, int bestEpoch)
    {
        var plot = new PlotModel { Title = "Learning curves", Subtitle = $"best weights: epoch {bestEpoch}", Background = OxyColors.White };
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = "epoch", MinimumMajorStep = 1, MajorGridlineStyle = LineStyle.Dot });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Key = "loss", Title = "loss", StartPosition = 0.53, EndPosition = 1, MajorGridlineStyle = LineStyle.Dot });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Key = "accuracy", Title = "accuracy, %", StartPosition = 0, EndPosition = 0.47, MajorGridlineStyle = LineStyle.Dot });
        plot.Legends.Add(new Legend { LegendPosition = LegendPosition.RightTop, LegendPlacement = LegendPlacement.Outside });
        Add(plot, "training loss (smoothed labels, augmented)", "loss", OxyColors.SteelBlue, history.Select(record => (record.Epoch, record.TrainingLoss)));
        Add(plot, "validation loss", "loss", OxyColors.DarkOrange, history.Select(record => (record.Epoch, record.ValidationLoss)));
        Add(plot, "training accuracy (augmented)", "accuracy", OxyColors.SteelBlue, history.Select(record => (record.Epoch, 100 * record.TrainingAccuracy)));
        Add(plot, "validation accuracy", "accuracy", OxyColors.DarkOrange, history.Select(record => (record.Epoch, 100 * record.ValidationAccuracy)));
        return plot;
    }

    private static void Add(PlotModel plot, string title, string axis, OxyColor color, IEnumerable<(int X, double Y)> points)
    {
        var line = new LineSeries { Title = title, YAxisKey = axis, Color = color, MarkerType = MarkerType.Circle, MarkerSize = 3, MarkerFill = color };
        line.Points.AddRange(points.Select(point => new DataPoint(point.X, point.Y)));
        plot.Series.Add(line);
    }
}
