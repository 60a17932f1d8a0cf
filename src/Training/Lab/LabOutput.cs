using System.Globalization;
using System.Net;
using System.Text;
using OxyPlot;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>Prints a page, writes its pictures, and puts several on one page of HTML: inline SVG, no script, nothing external.</summary>
internal static class LabOutput
{
    private const string Style = "body{font:16px/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}table{border-collapse:collapse;margin:1rem 0;font-size:.92em}" +
        "caption{text-align:left;font-style:italic;margin-bottom:.3rem}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}nav a{margin-right:1rem}";

    /// <summary>Prints tables and the paragraph.</summary>
    public static void Print(IAnsiConsole console, LabPage page)
    {
        console.WriteLine(page.Title);
        foreach (var table in page.Tables)
        {
            var printed = new Table().Title(Markup.Escape(table.Caption)).AddColumns([.. table.Head.Select(Markup.Escape)]);
            foreach (var row in table.Rows) printed.AddRow([.. row.Select(Markup.Escape)]);
            console.Write(printed);
        }

        console.WriteLine(page.Paragraph);
    }

    /// <summary>Writes each picture as SVG and PNG.</summary>
    /// <returns>Paths without ending.</returns>
    public static IReadOnlyList<string> WritePictures(string folder, LabPage page) => [.. page.Figures.Select(figure =>
    {
        var path = Path.Combine(folder, figure.Name == page.Topic ? page.Topic : $"{page.Topic}-{figure.Name}");
        if (figure.Plot is { } plot)
        {
            PlotFile.Write(path, plot, figure.Width, figure.Height);
        }
        else
        {
            AtomicWrite.Text($"{path}.svg", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + Svg(figure));
            AtomicWrite.File($"{path}.png", stream => stream.Write(figure.Png));
        }

        return path;
    })];

    /// <summary>Writes all pages as one.</summary>
    public static void WriteHtml(string path, string title, string subtitle, IReadOnlyList<LabPage> pages)
    {
        var html = new StringBuilder();
        html.Append(CultureInfo.InvariantCulture, $"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{Text(title)}</title><style>{Style}</style></head><body><h1>{Text(title)}</h1><p>{Text(subtitle)}</p><nav>");
        foreach (var page in pages) html.Append(CultureInfo.InvariantCulture, $"<a href=\"#{page.Topic}\">{Text(page.Topic)}</a>");
        html.Append("</nav>");
        foreach (var page in pages) Append(html, page);
        html.Append("</body></html>\n");
        AtomicWrite.Text(path, html.ToString());
    }

    private static void Append(StringBuilder html, LabPage page)
    {
        html.Append(CultureInfo.InvariantCulture, $"<section id=\"{page.Topic}\"><h2>{Text(page.Title)}</h2><p>{Text(page.Paragraph)}</p>");
        foreach (var figure in page.Figures) html.Append("<figure>").Append(Svg(figure)).Append("</figure>");
        foreach (var table in page.Tables)
        {
            html.Append(CultureInfo.InvariantCulture, $"<table><caption>{Text(table.Caption)}</caption><tr>").AppendJoin("", table.Head.Select(cell => $"<th>{Text(cell)}</th>")).Append("</tr>");
            foreach (var row in table.Rows) html.Append("<tr>").AppendJoin("", row.Select(cell => $"<td>{Text(cell)}</td>")).Append("</tr>");
            html.Append("</table>");
        }

        html.Append("</section>");
    }

    private static string Svg(LabFigure figure)
    {
        if (figure.Plot is { } plot)
        {
            var document = new SvgExporter { Width = figure.Width, Height = figure.Height }.ExportToString(plot());
            return document[document.IndexOf("<svg", StringComparison.Ordinal)..];
        }

        // The pixels are in the document itself.
        return string.Create(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{figure.Width}\" height=\"{figure.Height}\" viewBox=\"0 0 {figure.Width} {figure.Height}\"><image width=\"{figure.Width}\" height=\"{figure.Height}\" xlink:href=\"data:image/png;base64,{Convert.ToBase64String(figure.Png!)}\"/></svg>");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
