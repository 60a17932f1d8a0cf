using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;
using TorchBridge.Onnx;

namespace TorchBridge.Training.Reports;

/// <summary>The common style of all plots.</summary>
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
    /// An empty plot with a white background, so that it is readable on a dark page; its title may be as wide as the
    /// figure.
    /// </summary>
    /// <param name="title">Title above the plot.</param>
    /// <param name="subtitle">Subtitle below the title; null for none.</param>
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
    /// <param name="series">Index of the series, from 0; colours repeat after the last one.</param>
    public static OxyColor Color(int series) => Colors[series % Colors.Length];

    /// <summary>A numeric axis.</summary>
    /// <param name="isLogarithmic">Whether the axis is logarithmic.</param>
    /// <param name="position">Its side of the plot.</param>
    /// <param name="title">Title with the unit.</param>
    /// <param name="factor">Factor between tick marks of a logarithmic axis.</param>
    public static Axis Axis(bool isLogarithmic, AxisPosition position, string title, double factor = 10)
    {
        Axis axis = isLogarithmic ? new LogarithmicAxis { Base = factor } : new LinearAxis();
        axis.Position = position;
        axis.Title = title;
        axis.MajorGridlineStyle = LineStyle.Dot;
        // Space for markers at both ends.
        axis.MinimumPadding = 0.03;
        axis.MaximumPadding = 0.03;
        axis.LabelFormatter = value => Numbers.Short(value, 6);
        // These values are whole numbers.
        if (!isLogarithmic && title is "epoch" or "step" or "layer")
            (axis.MinimumMajorStep, axis.MinimumMinorStep) = (1, 1);
        return axis;
    }

    /// <summary>A category axis; if there are too many names for the space, only some are written.</summary>
    /// <param name="position">Its side of the plot; on the left, the first name is on top.</param>
    /// <param name="names">One name per position.</param>
    /// <param name="pixels">Approximate length of the axis in pixels.</param>
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

    /// <summary>Adds a legend beside the plot.</summary>
    /// <param name="plot">The plot, changed in place.</param>
    public static void AddLegend(PlotModel plot) =>
        plot.Legends.Add(
            new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.RightTop }
        );

    /// <summary>A line with a distinct style: up to forty lines differ in colour or marker.</summary>
    /// <param name="name">Name in the legend; null to omit it.</param>
    /// <param name="series">Index of the series.</param>
    /// <param name="points">Points; values that are not finite leave a gap.</param>
    /// <param name="isDashed">Whether it is the dashed companion of the solid line with the same index.</param>
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
        // Hundreds of markers would look like a thick line.
        line.MarkerType =
            isDashed || line.Points.Count > MostMarkers
                ? MarkerType.None
                : Markers[(series + (series / Colors.Length)) % Markers.Length];
        line.MarkerFill = line.Color;
        return line;
    }

    /// <summary>Shortens a long name by omitting its middle, so that there is space for the plot.</summary>
    /// <param name="name">Name of a class or a layer.</param>
    public static string Shortened(string name) =>
        name.Length <= LongestName ? name : $"{name[..(LongestName / 2)]}…{name[^((LongestName / 2) - 1)..]}";
}
