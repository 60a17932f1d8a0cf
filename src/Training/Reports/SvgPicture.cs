using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using OxyPlot;

namespace TorchBridge.Training.Reports;

/// <summary>Creates SVG elements, for separate files as well as for pages with several figures.</summary>
internal static partial class SvgPicture
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg",
        Xlink = "http://www.w3.org/1999/xlink";

    /// <summary>Renders a plot.</summary>
    /// <param name="plot">The plot, which can be rendered only once, because it keeps its drawing surface.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
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
        // Without a view box, a browser crops a figure that is wider than the page instead of scaling it.
        svg.SetAttributeValue("viewBox", ViewBox(width, height));
        return svg;
    }

    /// <summary>Wraps a PNG, whose bytes are embedded in the element.</summary>
    /// <param name="png">Its bytes.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
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
    /// A copy whose ids, and references to them, start with <paramref name="prefix"/>. Ids are global to a page: if
    /// two figures both use <c>url(#clipPath1)</c>, both are clipped by the first one's path.
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

    /// <summary>The SVG as text, for a file or a page.</summary>
    /// <param name="svg">The element.</param>
    public static string Text(XElement svg) => svg.ToString(SaveOptions.DisableFormatting);

    /// <summary>The view box, which covers the whole figure.</summary>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    private static string ViewBox(int width, int height) =>
        string.Create(CultureInfo.InvariantCulture, $"0 0 {width} {height}");

    /// <summary><c>url(#name)</c>with or without quotation marks, up to the name.</summary>
    [GeneratedRegex("""(url\(\s*["']?#)""")]
    private static partial Regex Reference();

    /// <summary>
    /// Measures text. The browser that will render it and its font are not known here, so the widths are those of
    /// Helvetica plus the excess of the widest common fonts (DejaVu Sans, Verdana). The library's own measure is a
    /// quarter too small, because it measures in points what is drawn in pixels, so that titles overlap subtitles.
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
