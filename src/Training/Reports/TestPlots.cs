using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace TorchBridge.Training.Reports;

/// <summary>Plots of a test: the confusion matrix and the reliability diagram.</summary>
internal static class TestPlots
{
    /// <summary>Side length of the confusion matrix in pixels: enough for ten classes; more classes make the figure
    /// larger, up to a limit.</summary>
    private const int SmallestSide = 480,
        LargestSide = 1200,
        PixelsOfAClass = 16;

    /// <summary>
    /// The confusion matrix: one row per true class, with shares of the row by colour, and numbers of pictures if
    /// there is space.
    /// </summary>
    /// <param name="figures">Figures of the test part.</param>
    public static Figure Confusion(TestFigures figures)
    {
        var side = Math.Clamp(PixelsOfAClass * figures.Classes.Count, SmallestSide, LargestSide);
        return new Figure("confusion", side + 280, side + 220) { Plot = () => ConfusionPlot(figures, side) };
    }

    /// <summary>
    /// The reliability diagram: share of correct predictions by confidence; on the diagonal the confidence is
    /// calibrated.
    /// </summary>
    /// <param name="figures">Figures of the test part.</param>
    public static Figure Reliability(TestFigures figures) =>
        new("reliability", 560, 540) { Plot = () => ReliabilityPlot(figures) };

    /// <summary>The matrix with one colour per cell.</summary>
    /// <param name="figures">Figures of the test part.</param>
    /// <param name="side">Side length of the figure in pixels.</param>
    private static PlotModel ConfusionPlot(TestFigures figures, int side)
    {
        var classes = figures.Classes.Count;
        var plot = PlotStyle.Plot("Confusion matrix", "rows: true class; colour: share of the row");
        var names = figures.Classes.Select(item => item.Name).ToArray();
        var predicted = PlotStyle.Names(AxisPosition.Bottom, names, side);
        predicted.Title = "predicted";
        predicted.Key = "predicted";
        predicted.Angle = -45;
        plot.Axes.Add(predicted);
        var truth = PlotStyle.Names(AxisPosition.Left, names, side);
        truth.Title = "true";
        truth.Key = "true";
        plot.Axes.Add(truth);
        plot.Axes.Add(
            new LinearColorAxis
            {
                Position = AxisPosition.Right,
                Palette = OxyPalette.Interpolate(100, OxyColors.White, PlotStyle.Color(0)),
                Minimum = 0,
                Maximum = 1,
            }
        );
        var data = new double[classes, classes];
        for (var actual = 0; actual < classes; actual++)
        {
            for (var guess = 0; guess < classes; guess++)
                data[guess, actual] =
                    (double)figures.Confusion[actual][guess] / Math.Max(1, figures.Classes[actual].Count);
        }

        plot.Series.Add(
            new HeatMapSeries
            {
                X0 = 0,
                X1 = classes - 1,
                Y0 = 0,
                Y1 = classes - 1,
                Data = data,
                Interpolate = false,
                RenderMethod = HeatMapRenderMethod.Rectangles,
                XAxisKey = "predicted",
                YAxisKey = "true",
            }
        );
        AddNumbers(plot, figures, data, (double)side / classes);
        return plot;
    }

    /// <summary>
    /// Writes the number of pictures into each cell, unless the text would be too small to read.
    /// </summary>
    /// <param name="plot">The matrix.</param>
    /// <param name="figures">Figures of the test part.</param>
    /// <param name="shares">Shares of each row, 0 to 1, which determine whether a number is white or black.</param>
    /// <param name="cell">Side length of a cell in pixels.</param>
    private static void AddNumbers(PlotModel plot, TestFigures figures, double[,] shares, double cell)
    {
        const double smallestFont = 8,
            largestFont = 12,
            widthOfADigit = 0.75;
        var digits = figures.Confusion.Max(row => row.Max()).ToString(CultureInfo.InvariantCulture).Length;
        var font = Math.Min(largestFont, 0.9 * cell / (widthOfADigit * digits));
        if (font < smallestFont)
            return;
        for (var actual = 0; actual < figures.Confusion.Length; actual++)
        {
            for (var guess = 0; guess < figures.Confusion.Length; guess++)
            {
                if (figures.Confusion[actual][guess] == 0)
                    continue;
                plot.Annotations.Add(
                    new TextAnnotation
                    {
                        Text = figures.Confusion[actual][guess].ToString(CultureInfo.InvariantCulture),
                        TextPosition = new DataPoint(guess, actual),
                        FontSize = font,
                        Stroke = OxyColors.Transparent,
                        TextVerticalAlignment = VerticalAlignment.Middle,
                        TextColor = shares[guess, actual] > 0.6 ? OxyColors.White : OxyColors.Black,
                        XAxisKey = "predicted",
                        YAxisKey = "true",
                    }
                );
            }
        }
    }

    /// <summary>Share of correct predictions by confidence, one point per bin, with the diagonal.</summary>
    /// <param name="figures">Figures of the test part.</param>
    private static PlotModel ReliabilityPlot(TestFigures figures)
    {
        var plot = PlotStyle.Plot(
            "Reliability",
            string.Create(
                CultureInfo.InvariantCulture,
                $"expected calibration error {figures.CalibrationError:P2}; dot size: share of the pictures"
            )
        );
        foreach (
            var (position, title) in ((AxisPosition, string)[])
                [(AxisPosition.Bottom, "confidence"), (AxisPosition.Left, "share correct")]
        )
        {
            var axis = PlotStyle.Axis(false, position, title);
            axis.Minimum = 0;
            axis.Maximum = 1;
            plot.Axes.Add(axis);
        }

        plot.Series.Add(
            new LineSeries
            {
                Color = OxyColors.Gray,
                LineStyle = LineStyle.Dash,
                Points = { new DataPoint(0, 0), new DataPoint(1, 1) },
            }
        );
        var line = new LineSeries { Color = PlotStyle.Color(0) };
        line.Points.AddRange(figures.Bins.Select(bin => new DataPoint(bin.Confidence, bin.Accuracy)));
        plot.Series.Add(line);
        var dots = new ScatterSeries { MarkerType = MarkerType.Circle, MarkerFill = PlotStyle.Color(0) };
        dots.Points.AddRange(
            figures.Bins.Select(bin => new ScatterPoint(
                bin.Confidence,
                bin.Accuracy,
                3 + (12 * Math.Sqrt((double)bin.Count / figures.Count))
            ))
        );
        plot.Series.Add(dots);
        return plot;
    }
}
