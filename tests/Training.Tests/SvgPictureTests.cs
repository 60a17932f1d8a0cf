using System.Xml.Linq;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Tests;

public class SvgPictureTests
{
    [Fact]
    public void Every_id_and_every_reference_to_it_gets_the_prefix()
    {
        var svg = XElement.Parse(
            """
            <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" aria-labelledby="name about">
              <title id="name">url(#a) is text here</title><desc id="about" />
              <clipPath id="a"><rect id="b" /></clipPath>
              <g clip-path="url(#a)" style="fill: url('#b'); mask:url( &quot;#a&quot; )"><use href="#b" /><use xlink:href="#b" /></g>
              <image xlink:href="data:image/png;base64,AAAA" /><a href="https://example.org/#b">b</a>
            </svg>
            """
        );
        var before = svg.ToString();
        var copy = SvgPicture.WithIdPrefix(svg, "p7-").ToString();
        Assert.Equal(before, svg.ToString());
        var expected = before
            .Replace("id=\"", "id=\"p7-", StringComparison.Ordinal)
            .Replace("aria-labelledby=\"name about\"", "aria-labelledby=\"p7-name p7-about\"", StringComparison.Ordinal)
            .Replace("clip-path=\"url(#a)\"", "clip-path=\"url(#p7-a)\"", StringComparison.Ordinal)
            .Replace("url('#b')", "url('#p7-b')", StringComparison.Ordinal)
            .Replace("url( &quot;#a&quot; )", "url( &quot;#p7-a&quot; )", StringComparison.Ordinal)
            .Replace("href=\"#b\"", "href=\"#p7-b\"", StringComparison.Ordinal);
        Assert.Equal(expected, copy);
    }

    [Fact]
    public void Every_page_stands_alone_and_each_of_its_ids_is_there_once()
    {
        using var folder = new TempFolder();
        foreach (
            var page in (SamplePage[])
                [SamplePages.Report(folder.Path), SamplePages.Ablation(folder.Path), SamplePages.Loose(folder.Path)]
        )
        {
            Assert.Equal(page.Pictures.Count, PageCheck.StandsAlone(File.ReadAllText(page.Path)));
            // What the check would find: two pictures with one id.
            var twice = File.ReadAllText(page.Path).Replace("picture2-", "picture1-", StringComparison.Ordinal);
            Assert.Contains(
                "ids that stand twice",
                Assert.Throws<InvalidOperationException>(() => PageCheck.StandsAlone(twice)).Message,
                StringComparison.Ordinal
            );
        }
    }
}
