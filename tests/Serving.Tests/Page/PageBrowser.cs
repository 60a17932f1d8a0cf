using Microsoft.Playwright;

namespace TorchBridge.Serving.Tests.Page;

/// <summary>
/// The machine's own Chromium without a window, driven by Playwright. Where there is none the tests that ask for it
/// skip.
/// </summary>
public sealed class PageBrowser : IAsyncLifetime
{
    private static readonly string[] Names =
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "chrome.exe",
        "msedge.exe",
    ];
    private IPlaywright? playwright;
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
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(
            new BrowserTypeLaunchOptions
            {
                ExecutablePath = path,
                // No sandbox: Chromium refuses one to root, which containers run as. The camera is a test pattern.
                Args =
                [
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--use-fake-device-for-media-stream",
                ],
            }
        );
    }

    /// <summary>Skips the test where there is no browser.</summary>
    public void SkipWithout() => Assert.SkipWhen(browser is null, "Chromium is not installed");

    /// <summary>A window of its own, with nothing in it of other tests.</summary>
    public Task<IBrowserContext> Open(BrowserNewContextOptions options) => browser!.NewContextAsync(options);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (browser is not null)
            await browser.DisposeAsync();
        playwright?.Dispose();
    }
}
