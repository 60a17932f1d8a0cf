using PuppeteerSharp;
using SkiaSharp;

namespace TorchBridge.Pipeline.Tests;

/// <summary>Chromium without a window, started once for the tests of a class. If it is not installed, the tests that
/// need it are skipped.</summary>
public sealed class Browser : IAsyncLifetime
{
    private static readonly string[] Names =
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "chrome.exe",
        "msedge.exe",
    ];
    private readonly TempFolder profile = new();
    private IBrowser? browser;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (
            Names.SelectMany(name => folders.Select(folder => Path.Combine(folder, name))).FirstOrDefault(File.Exists)
            is not { } path
        )
            return;
        browser = await Puppeteer.LaunchAsync(
            new LaunchOptions
            {
                ExecutablePath = path,
                Headless = true,
                UserDataDir = profile.Path,
                // No sandbox, because Chromium does not start with one as root, and containers run as root. The other
                // options keep it from using the network.
                Args =
                [
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--hide-scrollbars",
                    "--force-device-scale-factor=1",
                ],
            }
        );
    }

    /// <summary>Skips the test if there is no browser.</summary>
    public void SkipWithout() => Assert.SkipWhen(browser is null, "Chromium is not installed");

    /// <summary>Opens a file.</summary>
    /// <param name="file">HTML or SVG.</param>
    /// <param name="width">Width of the window, in pixels.</param>
    /// <param name="dark">Whether the reader prefers dark pages.</param>
    /// <param name="complaints">Receives what the page writes to the console; each message is a fault of the
    /// page.</param>
    public async Task<IPage> Open(string file, int width, bool dark = false, ICollection<string>? complaints = null)
    {
        var page = await browser!.NewPageAsync();
        page.Console += (_, message) => complaints?.Add(message.Message.Text);
        page.PageError += (_, error) => complaints?.Add(error.Message);
        await page.SetViewportAsync(new ViewPortOptions { Width = width, Height = 1200 });
        await page.EmulateMediaFeaturesAsync([
            new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = dark ? "dark" : "light" },
        ]);
        await page.GoToAsync(new Uri(file).AbsoluteUri);
        return page;
    }

    /// <summary>Takes a screenshot of an element.</summary>
    public static async Task<SKBitmap> Screenshot(IElementHandle element) =>
        SKBitmap.Decode(await element.ScreenshotDataAsync());

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (browser is not null)
            await browser.DisposeAsync();
        profile.Dispose();
    }
}
