using System.Globalization;
using System.Xml.Linq;
using PuppeteerSharp;
using SkiaSharp;
using TorchBridge.Training.Tests;

namespace TorchBridge.Pipeline.Tests;

/// <summary>The pages that the program writes, in a browser.</summary>
public class BrowserTests(Browser browser) : IClassFixture<Browser>
{
    private const int WindowWidth = 1280;

    [Theory]
    [InlineData("report", 3)]
    [InlineData("lab", 20)]
    [InlineData("ablation", 3)]
    [InlineData("loose", 3)]
    public async Task Each_picture_of_a_page_looks_as_it_does_alone(string name, int fewest)
    {
        using var folder = new TempFolder();
        var sample = Make(name, folder.Path);
        Assert.True(sample.Pictures.Count >= fewest);
        var complaints = new List<string>();
        await using var page = await browser.Open(sample.Path, WindowWidth, complaints: complaints);
        var pictures = await page.QuerySelectorAllAsync("svg");
        Assert.Equal(sample.Pictures.Count, pictures.Length);
        foreach (var (picture, file) in pictures.Zip(sample.Pictures))
        {
            var what = $"{name}, {Path.GetFileName(file)}";
            var box = await picture.BoundingBoxAsync();
            var svg = XElement.Load(file);
            double width = (double)svg.Attribute("width")!, height = (double)svg.Attribute("height")!;
            // Scaled, not cut: within the rounding to a pixel.
            Assert.True(Math.Abs(((double)box.Width * height / width) - (double)box.Height) <= 1, $"{what}: {box.Width} x {box.Height} on the page, {width} x {height} alone");
            using var inPage = await InTheCorner(picture, (int)box.Width, (int)box.Height);
            using var alone = await Alone(file, (int)box.Width, (int)box.Height, folder["alone.html"]);
            AssertSamePixels(alone, inPage, what);
        }

        Assert.Empty(complaints);
    }

    private static SamplePage Make(string name, string folder) => name switch
    {
        "report" => SamplePages.Report(folder),
        "lab" => SamplePages.Lab(folder, TestContext.Current.CancellationToken),
        "ablation" => SamplePages.Ablation(folder),
        _ => SamplePages.Loose(folder),
    };

    /// <summary>The picture's own file on a page that holds nothing else.</summary>
    private async Task<SKBitmap> Alone(string svgFile, int width, int height, string htmlFile)
    {
        File.WriteAllText(htmlFile, $"<!DOCTYPE html><meta charset=\"utf-8\">{File.ReadAllText(svgFile)}");
        await using var page = await browser.Open(htmlFile, WindowWidth);
        return await InTheCorner(await page.QuerySelectorAsync("svg"), width, height);
    }

    /// <summary>A picture where it is in its page, but moved to the window's corner: text at another fraction of a pixel is smoothed otherwise.</summary>
    private static async Task<SKBitmap> InTheCorner(IElementHandle picture, int width, int height)
    {
        var style = string.Create(CultureInfo.InvariantCulture, $"position:fixed;left:0;top:0;z-index:1;margin:0;max-width:none;width:{width}px;height:{height}px;background:#fff");
        await picture.EvaluateFunctionAsync("(picture, style) => picture.style.cssText = style", style);
        var bitmap = await Browser.Screenshot(picture);
        await picture.EvaluateFunctionAsync("picture => picture.style.cssText = ''");
        return bitmap;
    }

    private static void AssertSamePixels(SKBitmap expected, SKBitmap actual, string what)
    {
        Assert.True(expected.Width > 300 && expected.Height > 100, $"{what}: {expected.Width} x {expected.Height}");
        Assert.True((expected.Width, expected.Height) == (actual.Width, actual.Height), $"{what}: {actual.Width} x {actual.Height}, alone {expected.Width} x {expected.Height}");
        var (left, right) = (expected.Pixels, actual.Pixels);
        var different = Enumerable.Range(0, left.Length).Count(i => left[i] != right[i]);
        Assert.True(different == 0, $"{what}: {different:N0} of {left.Length:N0} pixels differ");
        // A blank picture equals a blank picture.
        Assert.True(left.Distinct().Count() > 10, $"{what}: nothing to see");
    }
}
