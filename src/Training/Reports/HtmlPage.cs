using System.Globalization;
using System.Net;
using System.Text;
using System.Xml.Linq;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Reports;

/// <summary>A self-contained HTML page: inline SVG, no scripts, nothing external; also well-formed XML.</summary>
internal sealed class HtmlPage
{
    // Figures are dark on white, even on a dark page. On a narrow screen, figures and tables scroll individually.
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
        .samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(6.5rem,1fr));gap:.4rem}.samples img{width:100%;height:auto}
        li{overflow-wrap:anywhere}
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

    /// <summary>Adds HTML without escaping; user-provided text must be passed through <see cref="Text"/>
    /// first.</summary>
    /// <param name="markup">Well-formed HTML; numbers are formatted with the invariant culture.</param>
    /// <returns>This page.</returns>
    public HtmlPage Add(FormattableString markup)
    {
        html.Append(markup.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    /// <summary>Adds a figure; its ids are made unique on the page.</summary>
    /// <param name="svg">The SVG element; references to ids are renamed too.</param>
    /// <returns>This page.</returns>
    public HtmlPage Picture(XElement svg)
    {
        pictures++;
        html.Append("<figure>")
            .Append(SvgPicture.Text(SvgPicture.WithIdPrefix(svg, FormattableString.Invariant($"picture{pictures}-"))))
            .Append("</figure>");
        return this;
    }

    /// <summary>Adds an embedded PNG.</summary>
    /// <param name="png">Its bytes.</param>
    /// <param name="about">Alternative text.</param>
    /// <returns>This page.</returns>
    public HtmlPage Image(byte[] png, string about) =>
        Add($"<img alt=\"{about}\" src=\"data:image/png;base64,{Convert.ToBase64String(png)}\"/>");

    /// <summary>Adds a table.</summary>
    /// <param name="caption">Caption above the table; null for none.</param>
    /// <param name="head">Column headings.</param>
    /// <param name="rows">Cells as plain text, which is escaped.</param>
    /// <returns>This page.</returns>
    public HtmlPage Table(string? caption, IReadOnlyList<string> head, IEnumerable<IReadOnlyList<string>> rows)
    {
        var cells = rows.ToArray();
        // Numbers are right-aligned, words are left-aligned.
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

    /// <summary>Formats a cell so that a number and its deviation stay on one line.</summary>
    private static string Figures(string cell) =>
        Text(cell).Replace(" &#177; ", "&#160;&#177;&#160;", StringComparison.Ordinal);

    /// <summary>Completes the page and writes it.</summary>
    /// <param name="path">The file, replaced atomically.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Write(string path) => AtomicWrite.Text(path, html.Append("</body></html>\n").ToString());

    /// <summary>Escapes text for HTML.</summary>
    /// <param name="text">User-provided text, such as names of classes and files.</param>
    public static string Text(string text) => WebUtility.HtmlEncode(text);
}
