using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Quantization;

namespace TorchBridge.Training.Reports;

/// <summary>Plots the cost of quantizing each layer alone.</summary>
internal static class SensitivityPlot
{
    /// <summary>Bars, with the most expensive layer at the top.</summary>
    /// <param name="layers">The cost of each layer; 28 pixels of height per layer.</param>
    public static Figure Of(IReadOnlyList<LayerSensitivity> layers)
    {
        var height = 140 + (28 * layers.Count);
        return new Figure("sensitivity", 760, height) { Plot = () => Plot(layers, height) };
    }

    /// <summary>The bars, in decibels.</summary>
    /// <param name="layers">The cost of each layer.</param>
    /// <param name="height">Height of the picture, which decides how large names are.</param>
    private static PlotModel Plot(IReadOnlyList<LayerSensitivity> layers, int height)
    {
        var plot = PlotStyle.Plot(
            "Each layer quantized alone: signal-to-noise ratio of the output",
            "a short bar means that quantizing this layer costs much accuracy"
        );
        plot.Axes.Add(PlotStyle.Names(AxisPosition.Left, [.. layers.Select(layer => layer.Node)], height));
        var decibels = PlotStyle.Axis(false, AxisPosition.Bottom, "decibels");
        // Space for the numbers at the end of the bars.
        decibels.MaximumPadding = 0.12;
        var lowest = layers.Min(layer => layer.Decibels);
        if (lowest >= 0)
            decibels.Minimum = 0;
        else
            decibels.MinimumPadding = 0.12;
        plot.Axes.Add(decibels);
        var bars = new BarSeries
        {
            FillColor = PlotStyle.Color(0),
            LabelFormatString = "{0:0.0}",
            LabelPlacement = LabelPlacement.Outside,
        };
        bars.Items.AddRange(layers.Select(layer => new BarItem(layer.Decibels)));
        plot.Series.Add(bars);
        return plot;
    }
}
