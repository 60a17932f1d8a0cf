using OxyPlot;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Reports;

/// <summary>Writes plots as pictures.</summary>
internal static class PlotFile
{
    /// <summary>Writes a plot as SVG and as PNG.</summary>
    /// <param name="path">Path without its ending.</param>
    /// <param name="plot">Makes the plot; once for each file, because a plot keeps what it was drawn on.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    public static void Write(string path, Func<PlotModel> plot, int width, int height)
    {
        AtomicWrite.Text($"{path}.svg", SvgPicture.Text(SvgPicture.Of(plot(), width, height)) + "\n");
        AtomicWrite.File($"{path}.png", stream => new OxyPlot.SkiaSharp.PngExporter { Width = width, Height = height, UseTextShaping = false }.Export(plot(), stream));
    }
}
