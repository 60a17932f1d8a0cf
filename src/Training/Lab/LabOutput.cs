using Spectre.Console;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>Prints a page, writes its figures, and combines several pages in one HTML file: inline SVG, no scripts,
/// no external resources.</summary>
internal static class LabOutput
{
    /// <summary>Prints the tables and the paragraph.</summary>
    /// <param name="console">The console to print to.</param>
    /// <param name="page">The topic's page.</param>
    public static void Print(IAnsiConsole console, LabPage page)
    {
        console.WriteLine(page.Title);
        foreach (var table in page.Tables)
        {
            var printed = new Table()
                .Title(Markup.Escape(table.Caption))
                .AddColumns([.. table.Head.Select(Markup.Escape)]);
            foreach (var row in table.Rows)
                printed.AddRow([.. row.Select(Markup.Escape)]);
            console.Write(printed);
        }

        console.WriteLine(page.Paragraph);
    }

    /// <summary>Writes each figure as SVG and PNG, replacing those of an earlier run.</summary>
    /// <param name="folder">The output folder; files are named by topic and figure.</param>
    /// <param name="page">The topic's page.</param>
    /// <returns>Paths without extension.</returns>
    public static IReadOnlyList<string> WritePictures(string folder, LabPage page)
    {
        string Name(Figure figure) => figure.Name == page.Topic ? page.Topic : $"{page.Topic}-{figure.Name}";
        ModelFileSet.Publish(folder, staged =>
        {
            foreach (var figure in page.Figures)
                figure.Write(Path.Combine(staged, Name(figure)));
        });
        return [.. page.Figures.Select(figure => Path.Combine(folder, Name(figure)))];
    }

    /// <summary>Writes all pages to one HTML file.</summary>
    /// <param name="path">Path of the file, which is overwritten.</param>
    /// <param name="title">The page's heading.</param>
    /// <param name="subtitle">Data set, seed and network.</param>
    /// <param name="pages">The pages; each becomes a section.</param>
    public static void WriteHtml(string path, string title, string subtitle, IReadOnlyList<LabPage> pages)
    {
        var html = new HtmlPage(title);
        html.Add($"<p>{HtmlPage.Text(subtitle)}</p><nav>");
        foreach (var page in pages)
            html.Add($"<a href=\"#{page.Topic}\">{HtmlPage.Text(page.Topic)}</a>");
        html.Add($"</nav>");
        foreach (var page in pages)
        {
            html.Add($"<section id=\"{page.Topic}\"><h2>{HtmlPage.Text(page.Title)}</h2>");
            if (!page.OpensWithPicture)
                html.Add($"<p>{HtmlPage.Text(page.Paragraph)}</p>");
            foreach (var figure in page.Figures)
                html.Picture(figure.Svg());
            if (page.OpensWithPicture)
                html.Add($"<p>{HtmlPage.Text(page.Paragraph)}</p>");
            foreach (var table in page.Tables)
                html.Table(table.Caption, table.Head, table.Rows);
            foreach (var (heading, text) in page.Texts)
                html.Add($"<h3>{HtmlPage.Text(heading)}</h3><pre>{HtmlPage.Text(text)}</pre>");
            html.Add($"</section>");
        }

        html.Write(path);
    }
}
