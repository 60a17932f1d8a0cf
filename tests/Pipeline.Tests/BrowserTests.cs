using System.Globalization;
using System.Xml.Linq;
using PuppeteerSharp;
using SkiaSharp;
using TorchBridge.Training.Tests;

namespace TorchBridge.Pipeline.Tests;

/// <summary>Pages that the program has written, created once for all tests that need them.</summary>
public sealed class MadePages : IDisposable
{
    private readonly TempFolder folder = new();
    private readonly Dictionary<string, Lazy<SamplePage>> pages;

    /// <summary>Creates no pages yet.</summary>
    public MadePages()
    {
        pages = new Dictionary<string, Lazy<SamplePage>>(StringComparer.Ordinal)
        {
            ["report"] = new(() => SamplePages.Report(Folder("report"))),
            ["short report"] = new(() => SamplePages.ShortReport(Folder("short"))),
            ["large report"] = new(() => SamplePages.LargeReport(Folder("large"))),
            ["lab"] = new(() => SamplePages.Lab(Folder("lab"), TestContext.Current.CancellationToken)),
            ["ablation"] = new(() => SamplePages.Ablation(Folder("ablation"))),
            ["sensitivity and modes"] = new(() => SamplePages.Loose(Folder("loose"))),
        };
    }

    internal SamplePage this[string name] => pages[name].Value;

    /// <inheritdoc/>
    public void Dispose() => folder.Dispose();

    private string Folder(string name) => Directory.CreateDirectory(folder[name]).FullName;
}

/// <summary>Opens the pages that the program writes in a browser.</summary>
public class BrowserTests(Browser browser, MadePages pages) : IClassFixture<Browser>, IClassFixture<MadePages>
{
    private const int WindowWidth = 1280;

    /// <summary>The pages, each with the smallest number of pictures that it must have.</summary>
    public static TheoryData<string, int> Pages =>
        new()
        {
            { "report", 3 },
            { "short report", 3 },
            { "large report", 3 },
            { "lab", 20 },
            { "ablation", 3 },
            { "sensitivity and modes", 3 },
        };

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Each_picture_of_a_page_looks_as_it_does_alone(string name, int fewest)
    {
        browser.SkipWithout();
        var sample = pages[name];
        Assert.True(sample.Pictures.Count >= fewest);
        using var folder = new TempFolder();
        var complaints = new List<string>();
        await using var page = await browser.Open(sample.Path, WindowWidth, complaints: complaints);
        var pictures = await page.QuerySelectorAllAsync("svg");
        Assert.Equal(sample.Pictures.Count, pictures.Length);
        foreach (var (picture, file) in pictures.Zip(sample.Pictures))
        {
            var what = $"{name}, {Path.GetFileName(file)}";
            var box = await picture.BoundingBoxAsync();
            var svg = XElement.Load(file);
            double width = (double)svg.Attribute("width")!,
                height = (double)svg.Attribute("height")!;
            // The picture must be scaled and not cut off, within the rounding to a pixel.
            Assert.True(
                Math.Abs(((double)box.Width * height / width) - (double)box.Height) <= 1,
                $"{what}: {box.Width} x {box.Height} on the page, {width} x {height} alone"
            );
            using var inPage = await InTheCorner(picture, (int)box.Width, (int)box.Height);
            using var alone = await Alone(file, (int)box.Width, (int)box.Height, folder["alone.html"]);
            AssertSamePixels(alone, inPage, what);
        }

        Assert.Empty(complaints);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task No_text_of_a_picture_lies_over_another_or_is_cut(string name, int fewest)
    {
        browser.SkipWithout();
        var sample = pages[name];
        Assert.True(sample.Pictures.Count >= fewest);
        await using var page = await browser.Open(sample.Path, WindowWidth);
        var faults = new List<string>();
        foreach (var (picture, file) in (await page.QuerySelectorAllAsync("svg")).Zip(sample.Pictures))
            faults.AddRange(
                (await picture.EvaluateFunctionAsync<string[]>(TextLayout.Faults)).Select(fault =>
                    $"{Path.GetFileName(file)}: {fault}"
                )
            );
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    /// <summary>The file of a picture on a page that contains nothing else.</summary>
    private async Task<SKBitmap> Alone(string svgFile, int width, int height, string htmlFile)
    {
        File.WriteAllText(htmlFile, $"<!DOCTYPE html><meta charset=\"utf-8\">{File.ReadAllText(svgFile)}");
        await using var page = await browser.Open(htmlFile, WindowWidth);
        return await InTheCorner(await page.QuerySelectorAsync("svg"), width, height);
    }

    /// <summary>A picture of a page, moved to the corner of the window, because text at another fraction of a pixel
    /// is antialiased differently.</summary>
    private static async Task<SKBitmap> InTheCorner(IElementHandle picture, int width, int height)
    {
        var style = string.Create(
            CultureInfo.InvariantCulture,
            $"position:fixed;left:0;top:0;z-index:1;margin:0;max-width:none;width:{width}px;height:{height}px;background:#fff"
        );
        await picture.EvaluateFunctionAsync("(picture, style) => picture.style.cssText = style", style);
        var bitmap = await Browser.Screenshot(picture);
        await picture.EvaluateFunctionAsync("picture => picture.style.cssText = ''");
        return bitmap;
    }

    private static void AssertSamePixels(SKBitmap expected, SKBitmap actual, string what)
    {
        Assert.True(expected.Width > 300 && expected.Height > 100, $"{what}: {expected.Width} x {expected.Height}");
        Assert.True(
            (expected.Width, expected.Height) == (actual.Width, actual.Height),
            $"{what}: {actual.Width} x {actual.Height}, alone {expected.Width} x {expected.Height}"
        );
        var (left, right) = (expected.Pixels, actual.Pixels);
        var different = Enumerable.Range(0, left.Length).Count(i => left[i] != right[i]);
        Assert.True(different == 0, $"{what}: {different:N0} of {left.Length:N0} pixels differ");
        // Two blank pictures would be equal, too.
        Assert.True(left.Distinct().Count() > 10, $"{what}: nothing to see");
    }
}
