using System.Globalization;
using System.Net;
using System.Text;
using System.Xml.Linq;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Reports;

/// <summary>One page, self-contained: inline SVG, no script, nothing external; well-formed XML, too.</summary>
internal sealed class HtmlPage
{
    // Pictures are dark on white, and stay so on a dark page. On a narrow screen a picture or a table scrolls by
    // itself.
    private const string Style = """
        :root{color-scheme:light dark;--text:#222;--page:#fff;--line:#ddd;--box:#f5f5f5;--link:#0645ad}
        @media(prefers-color-scheme:dark){:root{--text:#ddd;--page:#1b1b1b;--line:#444;--box:#2a2a2a;--link:#8ab4f8}}
        body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:var(--text);background:var(--page)}
        h1,h2{overflow-wrap:anywhere}a{color:var(--link)}nav a{display:inline-block;margin-right:1rem}
        figure{margin:1rem 0;overflow-x:auto}svg{display:block;max-width:100%;min-width:min(100%,40rem);height:auto;background:#fff}
        @media(max-width:40rem){svg{max-width:none;width:40rem}}
        .table{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.92em}
        caption{text-align:left;font-style:italic;margin-bottom:.3rem}
        td,th{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right}td:first-child,th:first-child,.words{text-align:left}
        .cards{display:flex;flex-wrap:wrap;gap:1rem}.cards figure{margin:0}
        .cards img{width:12rem;max-width:48%;height:auto;margin-right:.3rem}
        pre{background:var(--box);padding:1rem;overflow:auto}
        """;

    private readonly StringBuilder html = new();
    private int pictures;

    public HtmlPage(string title) =>
        Add(
            $"""
            <!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <title>{Text(title)}</title><style>{Style}</style></head><body><h1>{Text(title)}</h1>
            """
        );

    /// <summary>Adds HTML as it is; what people wrote goes through <see cref="Text"/> first.</summary>
    /// <param name="markup">Well-formed HTML; its numbers are written as in every language of programs.</param>
    /// <returns>This page.</returns>
    public HtmlPage Add(FormattableString markup)
    {
        html.Append(markup.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    /// <summary>Adds a picture; its ids become unique on the page.</summary>
    /// <param name="svg">The element; what others refer to in it is renamed.</param>
    /// <returns>This page.</returns>
    public HtmlPage Picture(XElement svg)
    {
        pictures++;
        html.Append("<figure>")
            .Append(SvgPicture.Text(SvgPicture.WithIdPrefix(svg, FormattableString.Invariant($"picture{pictures}-"))))
            .Append("</figure>");
        return this;
    }

    /// <summary>Adds a PNG, inside the page.</summary>
    /// <param name="png">Its bytes.</param>
    /// <param name="about">What it shows, for those who do not see it.</param>
    /// <returns>This page.</returns>
    public HtmlPage Image(byte[] png, string about) =>
        Add($"<img alt=\"{about}\" src=\"data:image/png;base64,{Convert.ToBase64String(png)}\"/>");

    /// <summary>Adds a table.</summary>
    /// <param name="caption">Above it; null for none.</param>
    /// <param name="head">Names of the columns.</param>
    /// <param name="rows">Cells as text, which is escaped.</param>
    /// <returns>This page.</returns>
    public HtmlPage Table(string? caption, IReadOnlyList<string> head, IEnumerable<IReadOnlyList<string>> rows)
    {
        var cells = rows.ToArray();
        // Figures stand under each other by their last digit, words by their first letter.
        string[] ofColumn =
        [
            .. head.Select(
                (_, column) =>
                    cells.All(row => IsFigure(row.ElementAtOrDefault(column) ?? "")) ? "" : " class=\"words\""
            ),
        ];
        html.Append("<div class=\"table\"><table>");
        if (caption is not null)
            Add($"<caption>{Text(caption)}</caption>");
        Row("th", head);
        foreach (var row in cells)
            Row("td", row);
        html.Append("</table></div>");
        return this;

        void Row(string kind, IReadOnlyList<string> texts) =>
            html.Append("<tr>")
                .AppendJoin("", texts.Select((text, column) => $"<{kind}{ofColumn[column]}>{Figures(text)}</{kind}>"))
                .Append("</tr>");
    }

    private static bool IsFigure(string cell) =>
        cell.Length == 0
        || char.IsAsciiDigit(cell[0])
        || cell is "NaN" or "no" or "yes"
        || (cell.Length > 1 && cell[0] is '-' or '+' && char.IsAsciiDigit(cell[1]));

    /// <summary>A cell, in which a figure and its spread stay on one line.</summary>
    private static string Figures(string cell) =>
        Text(cell).Replace(" &#177; ", "&#160;&#177;&#160;", StringComparison.Ordinal);

    /// <summary>Ends the page and writes it.</summary>
    /// <param name="path">The file, replaced as a whole.</param>
    /// <exception cref="UserException">It cannot be written.</exception>
    public void Write(string path) => AtomicWrite.Text(path, html.Append("</body></html>\n").ToString());

    /// <summary>Text with its signs escaped.</summary>
    /// <param name="text">What people wrote: names of classes and files.</param>
    public static string Text(string text) => WebUtility.HtmlEncode(text);
}
