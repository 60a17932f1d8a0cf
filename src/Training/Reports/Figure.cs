using System.Xml.Linq;
using OxyPlot;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Training.Reports;

/// <summary>A picture: a plot, or pixels. One of both is set.</summary>
/// <param name="Name">Ending of its file's name.</param>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
internal sealed record Figure(string Name, int Width, int Height)
{
    /// <summary>Makes the plot, anew for each file: a plot keeps what it was drawn on.</summary>
    public Func<PlotModel>? Plot { get; init; }

    /// <summary>A sheet of pictures as PNG.</summary>
    public byte[]? Png { get; init; }

    /// <summary>What it belongs to, for programs: a description inside the SVG that nobody sees; or null.</summary>
    public string? About { get; init; }

    /// <summary>The picture as an SVG element.</summary>
    /// <returns>An element of its own size, ready for a page.</returns>
    public XElement Svg()
    {
        var svg = Plot is null ? SvgPicture.Of(Png!, Width, Height) : SvgPicture.Of(Plot(), Width, Height);
        if (About is not null)
            svg.AddFirst(new XElement(svg.Name.Namespace + "desc", About));
        return svg;
    }

    /// <summary>Writes it beside a model, as SVG and as PNG; its own name is part of the files' names.</summary>
    /// <param name="folder">Folder of the model.</param>
    public void WriteTo(ModelFolder folder) => Write(folder.Picture(Name));

    /// <summary>Writes it as SVG and as PNG.</summary>
    /// <param name="path">Without the ending.</param>
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
