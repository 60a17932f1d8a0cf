using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using OxyPlot;

namespace TorchBridge.Training.Reports;

/// <summary>Pictures as SVG elements: the same for a file of their own and for a page that holds several.</summary>
internal static partial class SvgPicture
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg",
        Xlink = "http://www.w3.org/1999/xlink";

    /// <summary>Draws a plot.</summary>
    /// <param name="plot">Drawn once only: a plot keeps what it was drawn on.</param>
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    public static XElement Of(PlotModel plot, int width, int height)
    {
        plot.DefaultFont = "Helvetica, Arial, sans-serif";
        using var stream = new MemoryStream();
        new SvgExporter
        {
            Width = width,
            Height = height,
            IsDocument = false,
            TextMeasurer = new TextMeasurer(width, height),
        }.Export(plot, stream);
        stream.Position = 0;
        var svg = XElement.Load(stream);
        // Without a view box a browser cuts a picture that is wider than the page, instead of scaling it.
        svg.SetAttributeValue("viewBox", ViewBox(width, height));
        return svg;
    }

    /// <summary>Wraps a PNG; its bytes are in the element itself.</summary>
    /// <param name="png">Its bytes.</param>
    /// <param name="width">In pixels.</param>
    /// <param name="height">In pixels.</param>
    public static XElement Of(byte[] png, int width, int height) =>
        new(
            Svg + "svg",
            new XAttribute(XNamespace.Xmlns + "xlink", Xlink),
            new XAttribute("width", width),
            new XAttribute("height", height),
            new XAttribute("viewBox", ViewBox(width, height)),
            new XElement(
                Svg + "image",
                new XAttribute("width", width),
                new XAttribute("height", height),
                new XAttribute(Xlink + "href", $"data:image/png;base64,{Convert.ToBase64String(png)}")
            )
        );

    /// <summary>
    /// A copy whose ids, and what refers to them, begin with <paramref name="prefix"/>. Ids are names of the whole
    /// page: two pictures that both clip by <c>url(#clipPath1)</c> are both clipped by the first one's.
    /// </summary>
    public static XElement WithIdPrefix(XElement svg, string prefix)
    {
        var copy = new XElement(svg);
        foreach (
            var attribute in copy.DescendantsAndSelf()
                .Attributes()
                .Where(attribute => !attribute.IsNamespaceDeclaration)
        )
        {
            attribute.Value = attribute.Name.LocalName switch
            {
                "id" => prefix + attribute.Value,
                "href" when attribute.Value.StartsWith('#') => $"#{prefix}{attribute.Value[1..]}",
                "aria-labelledby" or "aria-describedby" => string.Join(
                    ' ',
                    attribute.Value.Split(' ').Select(id => prefix + id)
                ),
                _ => Reference().Replace(attribute.Value, $"$1{prefix}"),
            };
        }

        return copy;
    }

    /// <summary>The text of a picture, for a file or a page.</summary>
    /// <param name="svg">The element.</param>
    public static string Text(XElement svg) => svg.ToString(SaveOptions.DisableFormatting);

    /// <summary>What part of the plane the picture shows: all of it.</summary>
    /// <param name="width">In pixels.</param>
    /// <param name="height">In pixels.</param>
    private static string ViewBox(int width, int height) =>
        string.Create(CultureInfo.InvariantCulture, $"0 0 {width} {height}");

    /// <summary><c>url(#name)</c>, with or without quotation marks, up to the name.</summary>
    [GeneratedRegex("""(url\(\s*["']?#)""")]
    private static partial Regex Reference();

    /// <summary>
    /// How much room text takes. The browser that will draw it, and its font, are not known here, so the widths are
    /// those of Helvetica with what the widest of the usual fonts (DejaVu Sans, Verdana) take more. The library's own
    /// measure is a quarter too small: it counts in points what is drawn in pixels, and titles lie over subtitles
    /// then.
    /// </summary>
    private sealed class TextMeasurer(double width, double height) : PdfRenderContext(width, height, OxyColors.White)
    {
        private const double PixelsOfAPoint = 96.0 / 72,
            WiderFont = 1.2,
            WiderBoldFont = 1.3,
            LineHeight = 1.25;

        public override OxySize MeasureText(string text, string fontFamily, double fontSize, double fontWeight)
        {
            if (string.IsNullOrEmpty(text))
                return OxySize.Empty;
            var isBold = fontWeight > FontWeights.Normal;
            var lines = text.Split('\n');
            var widest = lines.Max(line =>
                base.MeasureText(line, "Helvetica", fontSize, isBold ? FontWeights.Bold : FontWeights.Normal).Width
            );
            return new OxySize(
                widest * PixelsOfAPoint * (isBold ? WiderBoldFont : WiderFont),
                lines.Length * fontSize * LineHeight
            );
        }
    }
}
