using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Quantization;

namespace TorchBridge.Training.Reports;

/// <summary>Draws what quantizing each layer alone costs.</summary>
internal static class SensitivityPlot
{
    /// <summary>Bars, the dearest layer on top.</summary>
    public static PlotModel Of(IReadOnlyList<LayerSensitivity> layers)
    {
        var plot = new PlotModel { Title = "Each layer quantized alone: signal to noise of the output (a short bar is a dear layer)", TitleFontSize = 13 };
        var names = new CategoryAxis { Position = AxisPosition.Left, StartPosition = 1, EndPosition = 0 };
        var bars = new BarSeries { FillColor = OxyColors.SteelBlue, LabelFormatString = "{0:0.0}" };
        foreach (var layer in layers)
        {
            names.Labels.Add(layer.Node);
            bars.Items.Add(new BarItem(layer.Decibels));
        }

        plot.Axes.Add(names);
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Minimum = 0, Title = "decibels" });
        plot.Series.Add(bars);
        return plot;
    }
}
