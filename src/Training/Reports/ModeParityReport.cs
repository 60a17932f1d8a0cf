using System.Globalization;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Reports;

/// <summary>Shows how train mode and eval mode differ: two tables, and a picture of each.</summary>
internal static class ModeParityReport
{
    private const int Named = 3;

    /// <summary>Prints the tables, and names the layers that drift most.</summary>
    public static void Print(IAnsiConsole console, ModeParityResult result)
    {
        if (result.Drift.Count == 0)
        {
            console.WriteLine("This network has no running statistics: its normalization is the same in train and eval mode.");
        }
        else
        {
            var drift = new Table().Title("Training pictures against running statistics, by layer").AddColumns("layer", "channels", "mean shift, sigma (rms)", "largest", "variance ratio (geometric mean)", "largest");
            foreach (var layer in result.Drift)
            {
                drift.AddRow(
                    layer.ModulePath.EscapeMarkup(), Text(layer.Channels), Text(Math.Sqrt(layer.MeanShift.Average(shift => shift * shift))), Text(layer.LargestShift),
                    Text(Math.Exp(layer.VarianceRatio.Average(Math.Log))), Text(layer.LargestRatio));
            }

            console.Write(drift);
            console.WriteLine($"Drift most: {string.Join(", ", result.Drift.OrderByDescending(layer => layer.Score).Take(Named).Select(layer => layer.ModulePath))}");
        }

        var modes = new Table().Title(FormattableString.Invariant($"Eval mode against train mode (batch statistics, dropout off), {result.Pictures:N0} validation pictures")).AddColumns("statistics", "loss", "accuracy");
        modes.AddRow("running (eval mode)", Text(result.EvalLoss), Percent(result.EvalAccuracy));
        foreach (var row in result.TrainMode) modes.AddRow(FormattableString.Invariant($"of the batch, {row.BatchSize} pictures"), Text(row.Loss), Percent(row.Accuracy));
        console.Write(modes);
    }

    /// <summary>Writes both pictures as SVG and PNG.</summary>
    public static void Draw(ModelFolder folder, ModeParityResult result)
    {
        if (result.Drift.Count > 0) PlotFile.Write(folder.Picture("drift"), () => DriftPlot(result), 1000, 520);
        PlotFile.Write(folder.Picture("modes"), () => ModePlot(result), 760, 480);
    }

    private static PlotModel DriftPlot(ModeParityResult result)
    {
        var plot = new PlotModel { Title = "Training pictures against running statistics", Subtitle = "each dot is a channel", Background = OxyColors.White };
        plot.Axes.Add(new CategoryAxis { Position = AxisPosition.Bottom, Angle = -45, Minimum = -0.5, Maximum = result.Drift.Count - 0.5, ItemsSource = result.Drift.Select(layer => layer.ModulePath).ToArray() });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Key = "shift", Title = "mean shift, sigma", StartPosition = 0.53, EndPosition = 1, MajorGridlineStyle = LineStyle.Dot });
        plot.Axes.Add(new LogarithmicAxis { Position = AxisPosition.Left, Key = "ratio", Title = "variance ratio", StartPosition = 0, EndPosition = 0.47, MajorGridlineStyle = LineStyle.Dot });
        Add("shift", layer => layer.MeanShift, OxyColors.SteelBlue);
        Add("ratio", layer => layer.VarianceRatio, OxyColors.DarkOrange);
        return plot;

        void Add(string axis, Func<Export.NormalizationDrift, IReadOnlyList<double>> values, OxyColor color)
        {
            var dots = new ScatterSeries { YAxisKey = axis, MarkerType = MarkerType.Circle, MarkerSize = 2, MarkerFill = OxyColor.FromAColor(140, color) };
            for (var i = 0; i < result.Drift.Count; i++)
            {
                var all = values(result.Drift[i]);
                // Side by side within the layer's column, so that dots do not hide each other.
                for (var c = 0; c < all.Count; c++) dots.Points.Add(new ScatterPoint(i - 0.3 + (0.6 * c / all.Count), all[c]));
            }

            plot.Series.Add(dots);
        }
    }

    private static PlotModel ModePlot(ModeParityResult result)
    {
        var plot = new PlotModel { Title = "Accuracy with batch statistics", Subtitle = "dropout off; the line is eval mode", Background = OxyColors.White };
        plot.Axes.Add(new LogarithmicAxis { Position = AxisPosition.Bottom, Base = 2, Title = "pictures in a batch", MajorGridlineStyle = LineStyle.Dot });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Title = "accuracy, %", MajorGridlineStyle = LineStyle.Dot });
        plot.Legends.Add(new Legend { LegendPosition = LegendPosition.RightBottom });
        var batch = new LineSeries { Title = "train mode", Color = OxyColors.SteelBlue, MarkerType = MarkerType.Circle, MarkerSize = 4, MarkerFill = OxyColors.SteelBlue };
        batch.Points.AddRange(result.TrainMode.Select(row => new DataPoint(row.BatchSize, 100 * row.Accuracy)));
        var eval = new LineSeries { Title = "eval mode", Color = OxyColors.DarkOrange, LineStyle = LineStyle.Dash };
        eval.Points.AddRange(result.TrainMode.Select(row => new DataPoint(row.BatchSize, 100 * result.EvalAccuracy)));
        plot.Series.Add(batch);
        plot.Series.Add(eval);
        return plot;
    }

    private static string Text(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    private static string Percent(double value) => value.ToString("P2", CultureInfo.InvariantCulture);
}
