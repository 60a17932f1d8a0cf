using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace TorchBridge.Training.Lab;

/// <summary>A line of a plot.</summary>
/// <param name="Name">In the legend.</param>
/// <param name="Points">x and y; what is not finite is left out.</param>
/// <param name="Dashed">Whether it is dashed.</param>
internal sealed record Curve(string Name, IEnumerable<(double X, double Y)> Points, bool Dashed = false);

/// <summary>The plots of the lab.</summary>
internal static class LabPlots
{
    private static readonly OxyColor[] Colors = [OxyColors.SteelBlue, OxyColors.DarkOrange, OxyColors.SeaGreen, OxyColors.Crimson, OxyColors.MediumPurple, OxyColors.SaddleBrown, OxyColors.DeepPink, OxyColors.Gray, OxyColors.Olive, OxyColors.Teal];

    /// <summary>Lines over a common axis; a dashed line has the colour of the solid one before it.</summary>
    public static PlotModel Lines(string title, string x, string y, IReadOnlyList<Curve> curves, bool logX = false, bool logY = false, double? lowY = null, double? highY = null)
    {
        var plot = Frame(title, logX ? new LogarithmicAxis() : new LinearAxis(), logY ? new LogarithmicAxis() : new LinearAxis(), x, y);
        if (lowY is { } low) plot.Axes[1].Minimum = low;
        if (highY is { } high) plot.Axes[1].Maximum = high;
        plot.Legends.Add(new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.RightTop });
        var color = -1;
        foreach (var curve in curves)
        {
            if (!curve.Dashed || color < 0) color++;
            var line = new LineSeries { Title = curve.Name, Color = Colors[color % Colors.Length], LineStyle = curve.Dashed ? LineStyle.Dash : LineStyle.Solid, MarkerType = curve.Dashed ? MarkerType.None : MarkerType.Circle, MarkerSize = 2.5 };
            line.Points.AddRange(curve.Points.Where(point => double.IsFinite(point.Y) && (!logY || point.Y > 0)).Select(point => new DataPoint(point.X, point.Y)));
            plot.Series.Add(line);
        }

        return plot;
    }

    /// <summary>Groups of bars: one colour a series, one group a category.</summary>
    public static PlotModel Bars(string title, string value, string[] categories, IReadOnlyList<(string Name, double[] Values)> series)
    {
        var plot = new PlotModel { Title = title, TitleFontSize = 13 };
        var names = new CategoryAxis { Position = AxisPosition.Left, StartPosition = 1, EndPosition = 0 };
        names.Labels.AddRange(categories);
        plot.Axes.Add(names);
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = value });
        plot.Legends.Add(new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.RightTop });
        foreach (var ((name, values), i) in series.Select((item, i) => (item, i)))
        {
            var bars = new BarSeries { Title = name, FillColor = Colors[i % Colors.Length] };
            foreach (var v in values) bars.Items.Add(new BarItem(v));
            plot.Series.Add(bars);
        }

        return plot;
    }

    /// <summary>One histogram above another, each scaled to its own height, with mean and sigma.</summary>
    public static PlotModel Ridges(string title, string x, IReadOnlyList<(string Name, float[] Values)> rows, double low, double high)
    {
        const int bins = 60;
        var plot = Frame(title, new LinearAxis { Minimum = low, Maximum = high }, new LinearAxis { Minimum = -0.1, Maximum = rows.Count + 0.2, IsAxisVisible = false }, x, "");
        for (var row = 0; row < rows.Count; row++)
        {
            var (name, values) = rows[row];
            var counts = new double[bins];
            foreach (var value in values.Where(float.IsFinite)) counts[Math.Clamp((int)((value - low) / (high - low) * bins), 0, bins - 1)]++;
            var top = Math.Max(1, counts.Max());
            double baseLine = rows.Count - 1 - row;
            var area = new AreaSeries { Color = Colors[row % Colors.Length], Fill = OxyColor.FromAColor(90, Colors[row % Colors.Length]), ConstantY2 = baseLine };
            for (var i = 0; i < bins; i++) area.Points.Add(new DataPoint(low + ((i + 0.5) / bins * (high - low)), baseLine + (0.85 * counts[i] / top)));
            plot.Series.Add(area);
            var mean = values.Average(value => (double)value);
            var sigma = Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
            // On the side where fewer values lie.
            var isLeft = counts.Take(bins / 3).Sum() < counts.TakeLast(bins / 3).Sum();
            plot.Annotations.Add(new TextAnnotation
            {
                Text = string.Create(CultureInfo.InvariantCulture, $"{name}: mean {mean:G3}, sigma {sigma:G3}"),
                TextPosition = new DataPoint(isLeft ? low + (0.01 * (high - low)) : high, baseLine + 0.6),
                TextHorizontalAlignment = isLeft ? HorizontalAlignment.Left : HorizontalAlignment.Right,
                StrokeThickness = 0,
                FontSize = 11,
            });
        }

        return plot;
    }

    /// <summary>Grids of coloured cells beside each other: 0 to 1 is white to blue.</summary>
    public static PlotModel Grids(string title, IReadOnlyList<(string Name, double[][] Cells)> grids, Func<double, OxyColor>? paint = null)
    {
        paint ??= value => OxyColor.FromRgb((byte)(255 - (200 * value)), (byte)(255 - (120 * value)), 255);
        var plot = new PlotModel { Title = title, TitleFontSize = 13, PlotAreaBorderThickness = new OxyThickness(0) };
        var width = grids.Sum(grid => grid.Cells[0].Length + 2);
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Minimum = -1, Maximum = width, IsAxisVisible = false });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Minimum = -1, Maximum = grids.Max(grid => grid.Cells.Length) + 2, IsAxisVisible = false });
        double left = 0;
        foreach (var (name, cells) in grids)
        {
            for (var row = 0; row < cells.Length; row++)
            {
                for (var column = 0; column < cells[row].Length; column++)
                {
                    var bottom = cells.Length - 1 - row;
                    plot.Annotations.Add(new RectangleAnnotation { MinimumX = left + column, MaximumX = left + column + 1, MinimumY = bottom, MaximumY = bottom + 1, Fill = paint(cells[row][column]), Stroke = OxyColors.Gray, StrokeThickness = 0.5 });
                }
            }

            plot.Annotations.Add(new TextAnnotation { Text = name, TextPosition = new DataPoint(left + (cells[0].Length / 2.0), cells.Length + 0.6), StrokeThickness = 0, FontSize = 12 });
            left += cells[0].Length + 2;
        }

        return plot;
    }

    /// <summary>A colour for the number of a group.</summary>
    public static OxyColor Group(double number) => OxyColor.FromAColor(150, Colors[(int)number % Colors.Length]);

    private static PlotModel Frame(string title, Axis horizontal, Axis vertical, string x, string y)
    {
        var plot = new PlotModel { Title = title, TitleFontSize = 13 };
        (horizontal.Position, horizontal.Title) = (AxisPosition.Bottom, x);
        (vertical.Position, vertical.Title) = (AxisPosition.Left, y);
        plot.Axes.Add(horizontal);
        plot.Axes.Add(vertical);
        return plot;
    }
}
