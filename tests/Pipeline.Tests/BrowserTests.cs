using TorchBridge.Testing;
using TorchBridge.Training.Data;
using TorchBridge.Training.Lab;

namespace TorchBridge.Pipeline.Tests;

public class BrowserTests
{
    [Fact]
    public void A_browser_renders_the_labs_page_without_an_error()
    {
        var browser = ((string[])["chromium", "chromium-browser", "google-chrome"])
            .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
        Assert.SkipWhen(browser is null, "Chromium is not installed");
        using var folder = new TempFolder();
        using var data = LabData.Of(DrawnPictures.Make(1, 32, 20, 10), 1);
        var context = new LabContext(8, 1, data, TestContext.Current.CancellationToken);
        LabPage[] pages = [.. LabTopics.All.Where(topic => topic.Name is "activations" or "mixup" or "dropout").Select(topic => topic.Run(context))];
        LabOutput.WriteHtml(folder["lab.html"], "The lab", "in a browser", pages);
        var result = Run.Command(browser, ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", $"--user-data-dir={folder["profile"]}", "--dump-dom", new Uri(folder["lab.html"]).AbsoluteUri]);
        Assert.Equal(0, result.ExitCode);
        Assert.Equal(pages.Sum(page => page.Figures.Count), result.Output.Split("<svg ").Length - 1);
        // What a page does wrong is told as a console message.
        Assert.DoesNotContain("CONSOLE", result.Error, StringComparison.Ordinal);
    }
}
