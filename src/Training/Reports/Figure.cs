using System.Xml.Linq;
using OxyPlot;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Reports;

/// <summary>A figure for a report: a plot or a PNG; exactly one of them is set.</summary>
/// <param name="Name">Name of the figure, used in its file name.</param>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
internal sealed record Figure(string Name, int Width, int Height)
{
    /// <summary>Creates the plot, once for each file, because a plot keeps its drawing surface.</summary>
    public Func<PlotModel>? Plot { get; init; }

    /// <summary>The figure as PNG.</summary>
    public byte[]? Png { get; init; }

    /// <summary>The run to which it belongs, written to the SVG as an invisible description; or null.</summary>
    public string? About { get; init; }

    /// <summary>Renders the figure as an SVG element.</summary>
    /// <returns>An element with the figure's size.</returns>
    public XElement Svg()
    {
        var svg = Plot is null ? SvgPicture.Of(Png!, Width, Height) : SvgPicture.Of(Plot(), Width, Height);
        if (About is not null)
            svg.AddFirst(new XElement(svg.Name.Namespace + "desc", About));
        return svg;
    }

    /// <summary>Writes the figure beside a model, as SVG and as PNG; its name is part of the file names.</summary>
    /// <param name="folder">Folder of the model.</param>
    public void WriteTo(ModelFolder folder) => Write(folder.Picture(Name));

    /// <summary>Writes the figure as SVG and as PNG.</summary>
    /// <param name="path">Path without extension.</param>
    public void Write(string path)
    {
        AtomicWrite.Text($"{path}.svg", SvgPicture.Text(Svg()) + "\n");
        AtomicWrite.File($"{path}.png", stream =>
        {
            if (Plot is null)
                stream.Write(Png);
            else
                new OxyPlot.SkiaSharp.PngExporter
                {
                    Width = Width,
                    Height = Height,
                    UseTextShaping = false,
                }.Export(Plot(), stream);
        });
    }
}
