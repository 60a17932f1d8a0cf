using System.Globalization;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace TorchBridge.Training.Reports;

/// <summary>Pictures of a test: who is taken for whom, and how far confidence can be believed.</summary>
internal static class TestPlots
{
    /// <summary>The confusion matrix: a row a true class, shares of the row by colour, numbers of pictures where there is room.</summary>
    public static PlotModel Confusion(TestFigures figures)
    {
        const int roomForNumbers = 20;
        var classes = figures.Classes.Count;
        var plot = new PlotModel { Title = "Confusion matrix", Subtitle = "rows: true class; colour: share of the row", Background = OxyColors.White };
        var names = figures.Classes.Select(item => item.Name).ToArray();
        plot.Axes.Add(new CategoryAxis { Position = AxisPosition.Bottom, Angle = -45, ItemsSource = names, Title = "predicted", Key = "predicted" });
        plot.Axes.Add(new CategoryAxis { Position = AxisPosition.Left, ItemsSource = names, Title = "true", StartPosition = 1, EndPosition = 0, Key = "true" });
        plot.Axes.Add(new LinearColorAxis { Position = AxisPosition.Right, Palette = OxyPalette.Interpolate(100, OxyColors.White, OxyColors.SteelBlue), Minimum = 0, Maximum = 1 });
        var data = new double[classes, classes];
        for (var t = 0; t < classes; t++)
        {
            for (var p = 0; p < classes; p++) data[p, t] = (double)figures.Confusion[t][p] / Math.Max(1, figures.Classes[t].Count);
        }

        plot.Series.Add(new HeatMapSeries { X0 = 0, X1 = classes - 1, Y0 = 0, Y1 = classes - 1, Data = data, Interpolate = false, RenderMethod = HeatMapRenderMethod.Rectangles, XAxisKey = "predicted", YAxisKey = "true" });
        if (classes > roomForNumbers) return plot;
        for (var t = 0; t < classes; t++)
        {
            for (var p = 0; p < classes; p++)
            {
                if (figures.Confusion[t][p] == 0) continue;
                plot.Annotations.Add(new TextAnnotation
                {
                    Text = figures.Confusion[t][p].ToString(CultureInfo.InvariantCulture),
                    TextPosition = new DataPoint(p, t),
                    Stroke = OxyColors.Transparent,
                    TextVerticalAlignment = VerticalAlignment.Middle,
                    TextColor = data[p, t] > 0.6 ? OxyColors.White : OxyColors.Black,
                    XAxisKey = "predicted",
                    YAxisKey = "true",
                });
            }
        }

        return plot;
    }

    /// <summary>The reliability diagram: share right over confidence; on the diagonal confidence can be believed.</summary>
    public static PlotModel Reliability(TestFigures figures)
    {
        var plot = new PlotModel
        {
            Title = "Reliability",
            Subtitle = string.Create(CultureInfo.InvariantCulture, $"expected calibration error {figures.CalibrationError:P2}; size: share of the pictures"),
            Background = OxyColors.White,
        };
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Minimum = 0, Maximum = 1, Title = "confidence", MajorGridlineStyle = LineStyle.Dot });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Minimum = 0, Maximum = 1, Title = "share right", MajorGridlineStyle = LineStyle.Dot });
        plot.Series.Add(new LineSeries { Color = OxyColors.Gray, LineStyle = LineStyle.Dash, Points = { new DataPoint(0, 0), new DataPoint(1, 1) } });
        var line = new LineSeries { Color = OxyColors.SteelBlue };
        line.Points.AddRange(figures.Bins.Select(bin => new DataPoint(bin.Confidence, bin.Accuracy)));
        plot.Series.Add(line);
        var dots = new ScatterSeries { MarkerType = MarkerType.Circle, MarkerFill = OxyColors.SteelBlue };
        dots.Points.AddRange(figures.Bins.Select(bin => new ScatterPoint(bin.Confidence, bin.Accuracy, 3 + (12 * Math.Sqrt((double)bin.Count / figures.Count)))));
        plot.Series.Add(dots);
        return plot;
    }
}
