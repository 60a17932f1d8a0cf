using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Onnx;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>A line of a plot.</summary>
/// <param name="Name">Name in the legend.</param>
/// <param name="Points">Points (x, y); non-finite ones are left out.</param>
/// <param name="Dashed">Whether the line is dashed.</param>
internal sealed record Curve(string Name, IEnumerable<(double X, double Y)> Points, bool Dashed = false);

/// <summary>The plots of the lab.</summary>
internal static class LabPlots
{
    /// <summary>Lines over a common axis; a dashed line has the colour of the solid one before it.</summary>
    /// <param name="title">Title of the plot.</param>
    /// <param name="x">Title of the horizontal axis.</param>
    /// <param name="y">Title of the vertical axis.</param>
    /// <param name="curves">The lines.</param>
    /// <param name="logX">For a logarithmic horizontal axis: the factor between ticks.</param>
    /// <param name="logY">Whether the vertical axis is logarithmic.</param>
    /// <param name="lowY">Lowest y; null to fit the lines.</param>
    /// <param name="highY">Highest y; null to fit the lines.</param>
    public static PlotModel Lines(
        string title,
        string x,
        string y,
        IReadOnlyList<Curve> curves,
        double? logX = null,
        bool logY = false,
        double? lowY = null,
        double? highY = null
    )
    {
        var plot = Frame(
            title,
            PlotStyle.Axis(logX is not null, AxisPosition.Bottom, x, logX ?? 10),
            PlotStyle.Axis(logY, AxisPosition.Left, y)
        );
        if (lowY is { } low)
            plot.Axes[1].Minimum = low;
        if (highY is { } high)
            plot.Axes[1].Maximum = high;
        PlotStyle.AddLegend(plot);
        var series = -1;
        foreach (var curve in curves)
        {
            if (!curve.Dashed || series < 0)
                series++;
            plot.Series.Add(
                PlotStyle.Line(curve.Name, series, curve.Points.Where(point => !logY || point.Y > 0), curve.Dashed)
            );
        }

        return plot;
    }

    /// <summary>
    /// Histograms stacked vertically, each scaled to its own height, with mean and sigma; values outside the range
    /// are not drawn.
    /// </summary>
    /// <param name="title">Title above the plot.</param>
    /// <param name="x">Name of the horizontal axis.</param>
    /// <param name="rows">Name and values of each histogram, the first on top.</param>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    public static PlotModel Ridges(
        string title,
        string x,
        IReadOnlyList<(string Name, float[] Values)> rows,
        double low,
        double high
    )
    {
        var horizontal = PlotStyle.Axis(false, AxisPosition.Bottom, x);
        horizontal.Minimum = low;
        horizontal.Maximum = high;
        var plot = Frame(title, horizontal, Hidden(AxisPosition.Left, -0.1, rows.Count + 0.2));
        for (var row = 0; row < rows.Count; row++)
            AddRidge(plot, rows[row].Name, rows[row].Values, row, rows.Count - 1 - row, low, high);
        return plot;
    }

    /// <summary>Grids of coloured cells side by side: 0 to 1 is white to blue.</summary>
    /// <param name="title">Title above the plot.</param>
    /// <param name="grids">Name and rows of cells of each grid.</param>
    /// <param name="paint">Maps a cell's value to a colour; null for white to blue.</param>
    public static PlotModel Grids(
        string title,
        IReadOnlyList<(string Name, double[][] Cells)> grids,
        Func<double, OxyColor>? paint = null
    )
    {
        paint ??= value => OxyColor.FromRgb((byte)(255 - (200 * value)), (byte)(255 - (120 * value)), 255);
        var width = grids.Sum(grid => grid.Cells[0].Length + 2);
        var plot = Frame(
            title,
            Hidden(AxisPosition.Bottom, -1, width - 1),
            Hidden(AxisPosition.Left, -0.5, grids.Max(grid => grid.Cells.Length) + 2)
        );
        plot.PlotAreaBorderThickness = new OxyThickness(0);
        double left = 0;
        foreach (var (name, cells) in grids)
        {
            for (var row = 0; row < cells.Length; row++)
            {
                for (var column = 0; column < cells[row].Length; column++)
                {
                    var bottom = cells.Length - 1 - row;
                    plot.Annotations.Add(
                        new RectangleAnnotation
                        {
                            MinimumX = left + column,
                            MaximumX = left + column + 1,
                            MinimumY = bottom,
                            MaximumY = bottom + 1,
                            Fill = paint(cells[row][column]),
                            Stroke = OxyColors.Gray,
                            StrokeThickness = 0.5,
                        }
                    );
                }
            }

            plot.Annotations.Add(
                new TextAnnotation
                {
                    Text = name,
                    TextPosition = new DataPoint(left + (cells[0].Length / 2.0), cells.Length + 0.6),
                    StrokeThickness = 0,
                    FontSize = 12,
                }
            );
            left += cells[0].Length + 2;
        }

        return plot;
    }

    /// <summary>The colour of a group, distinct for each of 32; white below zero.</summary>
    /// <param name="number">Number of the group, from 0.</param>
    public static OxyColor Group(double number)
    {
        const int hues = 8,
            levels = 4;
        if (number < 0)
            return OxyColors.White;
        var level = ((int)number / hues) % levels;
        return OxyColor.FromHsv((int)number % hues / (double)hues, 0.75 - (0.17 * level), 0.95 - (0.1 * (level % 2)));
    }

    /// <summary>Adds a histogram of 60 bins, with its name, mean and sigma.</summary>
    /// <param name="plot">The plot to add it to.</param>
    /// <param name="name">Label of the histogram.</param>
    /// <param name="values">The values to count.</param>
    /// <param name="series">Number of the series, which determines its colour.</param>
    /// <param name="baseLine">Its position on the vertical axis.</param>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    private static void AddRidge(
        PlotModel plot,
        string name,
        float[] values,
        int series,
        double baseLine,
        double low,
        double high
    )
    {
        const int bins = 60;
        var counts = new double[bins];
        foreach (var value in values)
        {
            var bin = (value - low) / (high - low) * bins;
            if (bin is >= 0 and <= bins)
                counts[Math.Min(bins - 1, (int)bin)]++;
        }

        var top = Math.Max(1, counts.Max());
        var color = PlotStyle.Color(series);
        var area = new AreaSeries
        {
            Color = color,
            Fill = OxyColor.FromAColor(90, color),
            ConstantY2 = baseLine,
        };
        for (var index = 0; index < bins; index++)
            area.Points.Add(
                new DataPoint(low + ((index + 0.5) / bins * (high - low)), baseLine + (0.85 * counts[index] / top))
            );
        plot.Series.Add(area);
        var mean = values.Average(value => (double)value);
        var sigma = Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
        // The label goes on the side with fewer values.
        var isLeft = counts.Take(bins / 3).Sum() < counts.TakeLast(bins / 3).Sum();
        plot.Annotations.Add(
            new TextAnnotation
            {
                Text = $"{name}: mean {Numbers.Short(mean)}, sigma {Numbers.Short(sigma)}",
                TextPosition = new DataPoint(
                    isLeft ? low + (0.01 * (high - low)) : high - (0.01 * (high - low)),
                    baseLine + 0.6
                ),
                TextHorizontalAlignment = isLeft ? HorizontalAlignment.Left : HorizontalAlignment.Right,
                // The label may lie over a curve that is high everywhere.
                Background = OxyColor.FromAColor(200, OxyColors.White),
                StrokeThickness = 0,
                FontSize = 11,
            }
        );
    }

    /// <summary>An invisible axis.</summary>
    /// <param name="position">Side of the plot it belongs to.</param>
    /// <param name="low">Its minimum.</param>
    /// <param name="high">Its maximum.</param>
    private static LinearAxis Hidden(AxisPosition position, double low, double high) =>
        new()
        {
            Position = position,
            Minimum = low,
            Maximum = high,
            IsAxisVisible = false,
        };

    /// <summary>A plot with two axes in the project's colours.</summary>
    /// <param name="title">Title above the plot.</param>
    /// <param name="horizontal">Horizontal axis.</param>
    /// <param name="vertical">Vertical axis.</param>
    private static PlotModel Frame(string title, Axis horizontal, Axis vertical)
    {
        var plot = PlotStyle.Plot(title);
        plot.Axes.Add(horizontal);
        plot.Axes.Add(vertical);
        return plot;
    }
}
