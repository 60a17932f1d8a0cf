using System.Globalization;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
using Spectre.Console;
using TorchBridge.Onnx;
using TorchBridge.Training.Parity;

namespace TorchBridge.Training.Reports;

/// <summary>Shows how train mode and eval mode differ: two tables, each with a plot.</summary>
internal static class ModeParityReport
{
    private const int Named = 3;

    /// <summary>Prints the tables and names the layers with the largest drift.</summary>
    /// <param name="console">The console.</param>
    /// <param name="result">The measurements.</param>
    public static void Print(IAnsiConsole console, ModeParityResult result)
    {
        if (result.Drift.Count == 0)
        {
            console.WriteLine(
                "This network has no running statistics, so its normalization is the same in train and eval mode."
            );
        }
        else
        {
            var drift = new Table()
                .Title("Statistics of the training pictures compared with running statistics, by layer")
                .AddColumns(
                    "layer",
                    "channels",
                    "mean shift, sigma (rms)",
                    "largest",
                    "variance ratio (geometric mean)",
                    "largest"
                );
            foreach (var layer in result.Drift)
            {
                drift.AddRow(
                    layer.ModulePath.EscapeMarkup(),
                    Text(layer.Channels),
                    Text(Math.Sqrt(layer.MeanShift.Average(shift => shift * shift))),
                    Text(layer.LargestShift),
                    Text(Math.Exp(layer.VarianceRatio.Average(Math.Log))),
                    Text(layer.LargestRatio)
                );
            }

            console.Write(drift);
            var most = result.Drift.OrderByDescending(layer => layer.Score).Take(Named);
            console.WriteLine($"Largest drift: {string.Join(", ", most.Select(layer => layer.ModulePath))}");
        }

        var modes = new Table()
            .Title(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Eval mode compared with train mode (batch statistics, dropout off), {result.Pictures:N0} "
                        + $"validation pictures"
                )
            )
            .AddColumns("statistics", "loss", "accuracy");
        modes.AddRow("running (eval mode)", Text(result.EvalLoss), Percent(result.EvalAccuracy));
        foreach (var row in result.TrainMode)
            modes.AddRow(
                FormattableString.Invariant($"of the batch, {row.BatchSize} pictures"),
                Text(row.Loss),
                Percent(row.Accuracy)
            );
        console.Write(modes);
    }

    /// <summary>
    /// The plots: drift by layer, if the network has running statistics, and accuracy by batch size.
    /// </summary>
    /// <param name="result">The measurements.</param>
    public static IReadOnlyList<Figure> Figures(ModeParityResult result)
    {
        var modes = new Figure("modes", 760, 480) { Plot = () => ModePlot(result) };
        return result.Drift.Count == 0
            ? [modes]
            : [new Figure("drift", 940, 560) { Plot = () => DriftPlot(result) }, modes];
    }

    /// <summary>
    /// One dot per channel and one column per layer: mean shift at the top, variance ratio at the bottom.
    /// </summary>
    /// <param name="result">The measurements.</param>
    private static PlotModel DriftPlot(ModeParityResult result)
    {
        var plot = PlotStyle.Plot("Training pictures compared with running statistics", "each dot is a channel");
        var layers = PlotStyle.Names(AxisPosition.Bottom, [.. result.Drift.Select(layer => layer.ModulePath)], 800);
        layers.Angle = -45;
        plot.Axes.Add(layers);
        Panel(false, "shift", "mean shift, sigma", 0.53, 1);
        Panel(true, "ratio", "variance ratio", 0, 0.47);
        Add("shift", layer => layer.MeanShift, PlotStyle.Color(0));
        Add("ratio", layer => layer.VarianceRatio, PlotStyle.Color(1));
        return plot;

        void Panel(bool isLogarithmic, string key, string title, double start, double end)
        {
            var axis = PlotStyle.Axis(isLogarithmic, AxisPosition.Left, title);
            axis.Key = key;
            axis.StartPosition = start;
            axis.EndPosition = end;
            plot.Axes.Add(axis);
        }

        void Add(string axis, Func<Export.NormalizationDrift, IReadOnlyList<double>> values, OxyColor color)
        {
            var dots = new ScatterSeries
            {
                YAxisKey = axis,
                MarkerType = MarkerType.Circle,
                MarkerSize = 2,
                MarkerFill = OxyColor.FromAColor(140, color),
            };
            for (var index = 0; index < result.Drift.Count; index++)
            {
                var all = values(result.Drift[index]);
                // Spread within the layer's column, so that dots do not hide each other.
                for (var number = 0; number < all.Count; number++)
                    dots.Points.Add(new ScatterPoint(index - 0.3 + (0.6 * number / all.Count), all[number]));
            }

            plot.Series.Add(dots);
        }
    }

    /// <summary>Accuracy by batch size.</summary>
    /// <param name="result">The measurements.</param>
    private static PlotModel ModePlot(ModeParityResult result)
    {
        var plot = PlotStyle.Plot("Accuracy with batch statistics", "dropout off; the dashed line is eval mode");
        var sizes = PlotStyle.Axis(true, AxisPosition.Bottom, "pictures in a batch", factor: 2);
        ((LogarithmicAxis)sizes).Base = 2;
        plot.Axes.Add(sizes);
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Left, "accuracy, %"));
        PlotStyle.AddLegend(plot);
        plot.Series.Add(
            PlotStyle.Line("train mode", 0, result.TrainMode.Select(row => ((double)row.BatchSize, 100 * row.Accuracy)))
        );
        plot.Series.Add(
            PlotStyle.Line(
                "eval mode",
                1,
                result.TrainMode.Select(row => ((double)row.BatchSize, 100 * result.EvalAccuracy)),
                isDashed: true
            )
        );
        return plot;
    }

    private static string Text(double value) => Numbers.Short(value, 4);

    private static string Percent(double value) => value.ToString("P2", CultureInfo.InvariantCulture);
}
