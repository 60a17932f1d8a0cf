using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Data;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Inspection;

/// <summary>Writes a page with the findings about a set of pictures and samples of each class.</summary>
internal static class SampleSheet
{
    private const int Samples = 8,
        Side = 128,
        LargestClasses = 100;

    /// <summary>Writes the page.</summary>
    /// <param name="path">The HTML file, replaced atomically.</param>
    /// <param name="data">Name of the data, for the heading.</param>
    /// <param name="placed">Its pictures.</param>
    /// <param name="inspection">The findings; unreadable files are not shown.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write(string path, string data, IReadOnlyList<PlacedPicture> placed, DataInspection inspection)
    {
        var bad = inspection.Unreadable.Select(item => item.Name).ToHashSet(StringComparer.Ordinal);
        var page = new HtmlPage($"Pictures of {data}").Table(
            null,
            ["part and class", "pictures"],
            inspection.Counts.Select(item =>
                (string[])[$"{item.Part}: {item.Class}", FormattableString.Invariant($"{item.Count:N0}")]
            )
        );
        foreach (var finding in Finding.AllOf(inspection))
        {
            page.Add($"<p>{HtmlPage.Text(finding.Text)}</p>");
            if (finding.Items.Count == 0)
                continue;
            page.Add($"<ul>");
            foreach (var item in finding.Items.Take(Finding.Listed))
                page.Add($"<li>{HtmlPage.Text(item)}</li>");
            if (finding.Items.Count > Finding.Listed)
                page.Add(
                    $"<li>and {finding.Items.Count - Finding.Listed:N0} more (inspect --json FILE lists all of them)</li>"
                );
            page.Add($"</ul>");
        }

        foreach (
            var group in placed
                .Where(item => !bad.Contains(item.Picture.Name))
                .GroupBy(item => item.Class)
                .OrderBy(group => group.Key, StringComparer.Ordinal)
                .Take(LargestClasses)
        )
        {
            page.Add($"<h2>{HtmlPage.Text(group.Key)}</h2><div class=\"samples\">");
            var members = group.ToArray();
            // The same samples each time, spread over the class.
            foreach (var member in new Draw(1, 47).Permutation(members.Length).Take(Samples))
                page.Image(Thumbnail(members[member].Picture), HtmlPage.Text(members[member].Picture.Name));
            page.Add($"</div>");
        }

        page.Write(path);
    }

    /// <summary>Creates a small PNG of a picture.</summary>
    /// <param name="picture">A readable picture.</param>
    private static byte[] Thumbnail(EncodedPicture picture)
    {
        var planes = new byte[3 * Side * Side];
        PictureReader.Read(picture.Bytes, picture.Name, Side, Side, planes, new PictureReading(Antialias: true));
        return DataSource.ToPng(planes, Side, Side);
    }
}
