using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Onnx;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>A setting in the plot of all settings.</summary>
/// <param name="Settings">Its values.</param>
/// <param name="Validation">Mean validation accuracy, 0 to 1.</param>
/// <param name="IsEnded">Whether it ended early.</param>
internal sealed record SweepLine(IReadOnlyDictionary<string, string> Settings, double Validation, bool IsEnded);

/// <summary>The plots of a sweep.</summary>
internal static class SweepPlots
{
    private const int MostMarks = 8;
    private const int MostAxes = 10;
    private static readonly OxyColor Poor = OxyColor.FromRgb(205, 205, 205);
    private static readonly OxyColor Good = OxyColors.SteelBlue;
    private static readonly OxyColor BestOfAll = OxyColors.DarkOrange;

    /// <summary>Parallel coordinates: one vertical axis per setting, the result on the right, and one line for each
    /// combination.</summary>
    /// <param name="keys">The settings, from left to right.</param>
    /// <param name="lines">The lines to draw; completed settings first, the best of them at the front.</param>
    public static PlotModel Parallel(IReadOnlyList<string> keys, IReadOnlyList<SweepLine> lines)
    {
        var shown = keys.Take(MostAxes).ToArray();
        var plot = PlotStyle.Plot(
            "Settings and validation accuracy",
            keys.Count > MostAxes ? FormattableString.Invariant($"the first {MostAxes} of {keys.Count} settings") : null
        );
        plot.PlotAreaBorderThickness = new OxyThickness(0);
        var names = PlotStyle.Names(AxisPosition.Bottom, [.. shown.Select(Last), "validation, %"], 900);
        names.Minimum = -0.35;
        names.Maximum = shown.Length + 0.35;
        (names.TickStyle, names.AxislineStyle) = (TickStyle.None, LineStyle.None);
        plot.Axes.Add(names);
        plot.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Left,
                IsAxisVisible = false,
                Minimum = -0.06,
                Maximum = 1.06,
            }
        );
        SweepScale[] scales =
        [
            .. shown.Select(key => SweepScale.Of([.. lines.Select(line => line.Settings.GetValueOrDefault(key, ""))])),
            SweepScale.Of([
                .. lines.Select(line => (100 * line.Validation).ToString("R", CultureInfo.InvariantCulture)),
            ]),
        ];
        var (low, high) = (lines.Min(line => line.Validation), lines.Max(line => line.Validation));
        var best = lines.FirstOrDefault(line => !line.IsEnded);
        // The best line is drawn last, so that no other line covers it.
        foreach (var line in lines.OrderBy(line => line == best).ThenBy(line => line.Validation))
        {
            var share = high > low ? (line.Validation - low) / (high - low) : 1;
            var series = new LineSeries
            {
                Color = line == best ? BestOfAll : OxyColor.Interpolate(Poor, Good, share),
                StrokeThickness = line == best ? 3 : 1.2,
                LineStyle = line.IsEnded ? LineStyle.Dash : LineStyle.Solid,
            };
            for (var axis = 0; axis < shown.Length; axis++)
                series.Points.Add(
                    new DataPoint(axis, scales[axis].PlaceOf(line.Settings.GetValueOrDefault(shown[axis], "")))
                );
            series.Points.Add(
                new DataPoint(
                    shown.Length,
                    scales[^1].PlaceOf((100 * line.Validation).ToString("R", CultureInfo.InvariantCulture))
                )
            );
            plot.Series.Add(series);
        }

        for (var axis = 0; axis < scales.Length; axis++)
        {
            plot.Annotations.Add(
                new LineAnnotation
                {
                    Type = LineAnnotationType.Vertical,
                    X = axis,
                    MinimumY = 0,
                    MaximumY = 1,
                    Color = OxyColors.DimGray,
                    LineStyle = LineStyle.Solid,
                    StrokeThickness = 1,
                    Layer = AnnotationLayer.AboveSeries,
                }
            );
            foreach (var (place, text) in scales[axis].Marks(MostMarks))
                plot.Annotations.Add(
                    new TextAnnotation
                    {
                        Text = PlotStyle.Shortened(text),
                        TextPosition = new DataPoint(axis, place),
                        TextHorizontalAlignment = HorizontalAlignment.Left,
                        TextVerticalAlignment = VerticalAlignment.Middle,
                        Offset = new ScreenVector(4, 0),
                        Stroke = OxyColors.Transparent,
                        // A background keeps numbers readable over the lines.
                        Background = OxyColor.FromAColor(200, OxyColors.White),
                        Layer = AnnotationLayer.AboveSeries,
                    }
                );
        }

        return plot;
    }

    /// <summary>Differences in test accuracy from the best setting, with their intervals.</summary>
    /// <param name="groups">The settings, the best first; the best has no bar.</param>
    public static PlotModel Differences(IReadOnlyList<SweepGroup> groups)
    {
        var plot = PlotStyle.Plot(
            "Difference in test accuracy from the best setting, percentage points, with 95 % interval",
            "by rank in the table; grey: not significant"
        );
        var others = groups.Select((group, place) => (group, place: place + 1)).Skip(1).ToArray();
        plot.Axes.Add(
            PlotStyle.Names(
                AxisPosition.Left,
                [.. others.Select(other => other.place.ToString(CultureInfo.InvariantCulture))],
                26 * others.Length
            )
        );
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Bottom, "percentage points"));
        var bars = new ErrorBarSeries { ErrorWidth = 0.3, StrokeThickness = 0 };
        foreach (var (group, _) in others)
            bars.Items.Add(
                group.Difference is { } difference
                    ? new ErrorBarItem(
                        100 * difference.Mean,
                        double.IsNaN(difference.HalfWidth) ? 0 : 100 * difference.HalfWidth
                    )
                    {
                        Color = difference.IsSignificant ? Good : OxyColors.LightGray,
                    }
                    : new ErrorBarItem(double.NaN, 0)
            );
        plot.Series.Add(bars);
        return plot;
    }

    /// <summary>Learning curves, including those of trials that ended early.</summary>
    /// <param name="ended">Curves of trials that ended early: validation accuracy by epoch.</param>
    /// <param name="whole">Curves of completed trials.</param>
    /// <param name="best">The curve that is drawn on top.</param>
    public static PlotModel Curves(
        IReadOnlyList<IReadOnlyList<double>> ended,
        IReadOnlyList<IReadOnlyList<double>> whole,
        IReadOnlyList<double> best
    )
    {
        var plot = PlotStyle.Plot("Validation accuracy by epoch", "grey: ended early");
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Bottom, "epoch"));
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Left, "validation accuracy, %"));
        foreach (var curve in ended)
            Add(curve, OxyColors.DarkGray, 1);
        foreach (var curve in whole)
            Add(curve, Good, 1.4);
        Add(best, BestOfAll, 2.5);
        return plot;

        void Add(IReadOnlyList<double> curve, OxyColor color, double width)
        {
            var line = new LineSeries { Color = color, StrokeThickness = width };
            line.Points.AddRange(curve.Select((accuracy, epoch) => new DataPoint(epoch + 1, 100 * accuracy)));
            // A single epoch is drawn as a point.
            if (curve.Count == 1)
                (line.MarkerType, line.MarkerFill, line.MarkerSize) = (MarkerType.Circle, color, 3);
            plot.Series.Add(line);
        }
    }

    /// <summary>Validation accuracy by setting, with one point per trial.</summary>
    /// <param name="trials">The trials.</param>
    /// <param name="key">The setting.</param>
    /// <param name="series">Index of the setting, for the colour.</param>
    public static PlotModel Scatter(IReadOnlyList<SweepTrial> trials, string key, int series)
    {
        var plot = PlotStyle.Plot(key, "validation accuracy by setting");
        var values = trials.Select(trial => trial.Settings.GetValueOrDefault(key, "")).ToArray();
        var scale = SweepScale.Of(values);
        plot.Axes.Add(
            scale.Names is { } names
                ? PlotStyle.Names(AxisPosition.Bottom, names, 900)
                : PlotStyle.Axis(scale.IsLogarithmic, AxisPosition.Bottom, key)
        );
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Left, "validation accuracy, %"));
        var points = new ScatterSeries
        {
            MarkerType = MarkerType.Circle,
            MarkerSize = 4,
            MarkerFill = PlotStyle.Color(series),
        };
        for (var i = 0; i < trials.Count; i++)
            points.Points.Add(new ScatterPoint(scale.ValueOf(values[i]), 100 * trials[i].Result.ValidationAccuracy));
        plot.Series.Add(points);
        return plot;
    }

    /// <summary>The last part of a setting's name.</summary>
    private static string Last(string key) => key[(key.LastIndexOf('.') + 1)..];
}

/// <summary>Positions of a setting's values on an axis from 0 to 1: numbers by value, names evenly spaced.</summary>
internal sealed class SweepScale
{
    private const double LogarithmicFrom = 30;
    private readonly string[] values;
    private readonly double low;
    private readonly double high;

    private SweepScale(string[] values, bool isNumeric)
    {
        this.values = values;
        Names = isNumeric ? null : values;
        if (!isNumeric)
        {
            (low, high) = (0, values.Length - 1);
            return;
        }

        var numbers = values.Select(Number).ToArray();
        // Otherwise values over several powers of ten would coincide.
        IsLogarithmic = numbers.Min() > 0 && numbers.Max() / numbers.Min() >= LogarithmicFrom;
        (low, high) = (On(numbers.Min()), On(numbers.Max()));
    }

    /// <summary>The names, if the values are not all numbers; otherwise null.</summary>
    public IReadOnlyList<string>? Names { get; }

    /// <summary>Whether the axis is logarithmic.</summary>
    public bool IsLogarithmic { get; }

    /// <summary>Creates a scale for all values that occur.</summary>
    public static SweepScale Of(IReadOnlyList<string> values)
    {
        var isNumeric = values.All(value => double.IsFinite(Number(value)));
        return new SweepScale(
            isNumeric ? [.. values.Distinct().OrderBy(Number)] : [.. values.Distinct().Order(StringComparer.Ordinal)],
            isNumeric
        );
    }

    /// <summary>A value as a number: the number itself, or the index of the name.</summary>
    public double ValueOf(string value) => Names is null ? Number(value) : Array.IndexOf(values, value);

    /// <summary>The position of a value, from 0 to 1; 0.5 if it is the only one.</summary>
    public double PlaceOf(string value) => high > low ? (On(ValueOf(value)) - low) / (high - low) : 0.5;

    /// <summary>Tick marks of an axis: every value if there are few, otherwise the lowest, the highest and some
    /// between.</summary>
    /// <param name="most">Largest number of tick marks.</param>
    public IEnumerable<(double Place, string Text)> Marks(int most)
    {
        const double closest = 0.045; // the height of a line of text in this plot
        var last = double.NegativeInfinity;
        if (values.Length <= most || Names is not null)
        {
            foreach (var value in values)
            {
                var place = PlaceOf(value);
                if (place - last < closest)
                    continue;
                last = place;
                yield return (place, SweepPages.Shown(value));
            }

            yield break;
        }

        for (var mark = 0; mark <= 4; mark++)
        {
            var on = low + ((high - low) * mark / 4);
            yield return (mark / 4.0, Numbers.Short(IsLogarithmic ? Math.Exp(on) : on, 3));
        }
    }

    private double On(double value) => IsLogarithmic ? Math.Log(value) : value;

    private static double Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN;
}
