using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;
using TorchBridge.Onnx;

namespace TorchBridge.Training.Reports;

/// <summary>What all plots have in common.</summary>
internal static class PlotStyle
{
    private const int LongestName = 32,
        MostMarkers = 60;

    private static readonly OxyColor[] Colors =
    [
        OxyColors.SteelBlue,
        OxyColors.DarkOrange,
        OxyColors.SeaGreen,
        OxyColors.Crimson,
        OxyColors.MediumPurple,
        OxyColors.SaddleBrown,
        OxyColors.DeepPink,
        OxyColors.Gray,
        OxyColors.Olive,
        OxyColors.Teal,
    ];

    private static readonly MarkerType[] Markers =
    [
        MarkerType.Circle,
        MarkerType.Square,
        MarkerType.Triangle,
        MarkerType.Diamond,
    ];

    /// <summary>
    /// An empty plot: white, so that it can be read on a dark page; its title may be as wide as the picture.
    /// </summary>
    /// <param name="title">Above the plot.</param>
    /// <param name="subtitle">Below the title; null for none.</param>
    public static PlotModel Plot(string title, string? subtitle = null) =>
        new()
        {
            Title = title,
            Subtitle = subtitle,
            TitleFontSize = 14,
            SubtitleFontSize = 12,
            TitleHorizontalAlignment = TitleHorizontalAlignment.CenteredWithinView,
            Background = OxyColors.White,
            Padding = new OxyThickness(10, 8, 20, 8),
        };

    /// <summary>The colour of a series.</summary>
    /// <param name="series">From 0; after the last colour the first comes again.</param>
    public static OxyColor Color(int series) => Colors[series % Colors.Length];

    /// <summary>An axis of numbers.</summary>
    /// <param name="isLogarithmic">Whether a step to the right or up is a factor.</param>
    /// <param name="position">Its side of the plot.</param>
    /// <param name="title">What it counts, with the unit.</param>
    /// <param name="factor">From one mark of a logarithmic axis to the next.</param>
    public static Axis Axis(bool isLogarithmic, AxisPosition position, string title, double factor = 10)
    {
        Axis axis = isLogarithmic ? new LogarithmicAxis { Base = factor } : new LinearAxis();
        axis.Position = position;
        axis.Title = title;
        axis.MajorGridlineStyle = LineStyle.Dot;
        // Room for markers at both ends.
        axis.MinimumPadding = 0.03;
        axis.MaximumPadding = 0.03;
        axis.LabelFormatter = value => Numbers.Short(value, 6);
        // There is nothing at an epoch and a half.
        if (!isLogarithmic && title is "epoch" or "step" or "layer")
            (axis.MinimumMajorStep, axis.MinimumMinorStep) = (1, 1);
        return axis;
    }

    /// <summary>An axis of names; where they are too many for their room, only every so many is written.</summary>
    /// <param name="position">Its side of the plot; on the left, the first name is on top.</param>
    /// <param name="names">One a place.</param>
    /// <param name="pixels">About the axis' length.</param>
    public static CategoryAxis Names(AxisPosition position, IReadOnlyList<string> names, double pixels)
    {
        const double pixelsOfAName = 13;
        var every = Math.Max(1, (int)Math.Ceiling(names.Count * pixelsOfAName / pixels));
        var axis = new CategoryAxis
        {
            Position = position,
            Minimum = -0.5,
            Maximum = names.Count - 0.5,
            MajorStep = 1,
        };
        axis.Labels.AddRange(names.Select((name, i) => i % every == 0 ? Shortened(name) : ""));
        if (position == AxisPosition.Left)
            (axis.StartPosition, axis.EndPosition) = (1, 0);
        return axis;
    }

    /// <summary>Adds the list of series, beside the plot.</summary>
    /// <param name="plot">Changed in place.</param>
    public static void AddLegend(PlotModel plot) =>
        plot.Legends.Add(
            new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.RightTop }
        );

    /// <summary>A line of its own look: no two of forty lines have both colour and marker in common.</summary>
    /// <param name="name">In the legend; null for a line that is not in it.</param>
    /// <param name="series">Its number.</param>
    /// <param name="points">What is not finite is left out, and the line has a gap there.</param>
    /// <param name="isDashed">Whether it is the dashed companion of the solid line of the same number.</param>
    public static LineSeries Line(
        string? name,
        int series,
        IEnumerable<(double X, double Y)> points,
        bool isDashed = false
    )
    {
        var line = new LineSeries
        {
            Title = name,
            Color = Color(series),
            LineStyle = isDashed ? LineStyle.Dash : LineStyle.Solid,
        };
        line.Points.AddRange(
            points.Select(point => double.IsFinite(point.Y) ? new DataPoint(point.X, point.Y) : DataPoint.Undefined)
        );
        // Hundreds of markers are a thick line.
        line.MarkerType =
            isDashed || line.Points.Count > MostMarkers
                ? MarkerType.None
                : Markers[(series + (series / Colors.Length)) % Markers.Length];
        line.MarkerFill = line.Color;
        return line;
    }

    /// <summary>A name that leaves room for the plot: the middle of a long one is left out.</summary>
    /// <param name="name">Name of a class or a layer.</param>
    public static string Shortened(string name) =>
        name.Length <= LongestName ? name : $"{name[..(LongestName / 2)]}…{name[^((LongestName / 2) - 1)..]}";
}
