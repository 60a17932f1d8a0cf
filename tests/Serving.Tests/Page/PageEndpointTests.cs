using System.Text.Json.Nodes;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace TorchBridge.Serving.Tests.Page;

/// <summary>The page as people meet it: in a browser, with and without script, by mouse and by keyboard.</summary>
public sealed class PageEndpointTests(PageBrowser browser) : IClassFixture<PageBrowser>, IAsyncLifetime
{
    private const string Evil = "<img src=x onerror=\"document.title='taken over'\">",
        Formula = "=HYPERLINK(\"http://example.org\")";
    private readonly List<string> complaints = [];
    private readonly List<string> requested = [];
    private TestServer server = null!;
    private IBrowserContext? context;

    public async ValueTask InitializeAsync() =>
        server = await TestServer.Start(
            TestServer.Plain(
                ("cats", TestModels.Classifier(map: true)),
                ("evil", TestModels.Classifier(names: [Evil, Formula])),
                ("affine", TestModels.Affine())
            ),
            ("MaxRequestBytes", "1048576")
        );

    public async ValueTask DisposeAsync()
    {
        if (context is not null)
            await context.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task A_chosen_picture_is_classified_and_everything_about_it_is_said()
    {
        var page = await Open();
        await page.GetByLabel("Pictures", new() { Exact = true }).SetInputFilesAsync(Picture("dog.png", 1));
        var want = (await server.Post("classify?model=cats&top=3", new ByteArrayContent(Encoded(1)))).Json!;
        await Expect(page, ".answer", (string)want["label"]!);
        Assert.Equal(3, await page.Locator("#result table").First.Locator("tbody tr").CountAsync());
        foreach (var (row, i) in want["top"]!.AsArray().Select((row, i) => (row!, i)))
        {
            var text = await page.Locator("#result table").First.Locator("tbody tr").Nth(i).InnerTextAsync();
            Assert.Contains((string)row["label"]!, text, StringComparison.Ordinal);
            Assert.Contains(
                FormattableString.Invariant($"{100 * (double)row["probability"]!:F1} %"),
                text,
                StringComparison.Ordinal
            );
        }

        Assert.Equal(
            TestModels.Size,
            await page.Locator(".seen img").EvaluateAsync<int>("image => image.decode().then(() => image.naturalWidth)")
        );
        Assert.Equal(4, await page.Locator("#result table").Nth(1).Locator("tbody tr").CountAsync()); // the times
        Assert.True(await page.Locator("#map").IsVisibleAsync());
        await page.GetByRole(AriaRole.Button, new() { Name = "Copy as curl" }).ClickAsync();
        Assert.Contains(
            $"curl --data-binary @'dog.png' '{server.Addresses[0]}/classify?model=cats'",
            await page.Locator("#snippet").InnerTextAsync(),
            StringComparison.Ordinal
        );
        await page.GetByRole(AriaRole.Button, new() { Name = "Copy as C#" }).ClickAsync();
        Assert.Contains("PostAsync(", await page.Locator("#snippet").InnerTextAsync(), StringComparison.Ordinal);
        AllWasWell();
    }

    [Theory]
    [InlineData("drop")]
    [InlineData("paste")]
    public async Task A_picture_is_dropped_or_pasted(string way)
    {
        var page = await Open();
        await page.EvaluateAsync(
            """
            ([way, base64]) => {
              const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));
              const data = new DataTransfer();
              data.items.add(new File([bytes], 'given.png', { type: 'image/png' }));
              const event = way === 'drop'
                ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent('paste', { clipboardData: data, bubbles: true });
              (way === 'drop' ? document.getElementById('hint') : document.body).dispatchEvent(event);
            }
            """,
            new[] { way, Convert.ToBase64String(Encoded(1)) }
        );
        await page.Locator(".answer").WaitForAsync();
        Assert.Contains(
            "given.png, by cats version 1",
            await page.Locator("#result").InnerTextAsync(),
            StringComparison.Ordinal
        );
        AllWasWell();
    }

    [Fact]
    public async Task A_photo_is_taken_and_the_camera_is_off_afterwards()
    {
        var page = await Open(new() { Permissions = ["camera"] });
        await page.GetByRole(AriaRole.Button, new() { Name = "Take a photo" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Use this photo" }).ClickAsync();
        await page.Locator(".answer").WaitForAsync();
        Assert.False(await page.Locator("#viewfinder").IsVisibleAsync());
        Assert.True(await page.Locator("#video").EvaluateAsync<bool>("video => video.srcObject === null"));
        AllWasWell();
    }

    [Fact]
    public async Task A_camera_that_is_refused_is_said_and_a_file_is_still_taken()
    {
        var page = await Open();
        await page.GetByRole(AriaRole.Button, new() { Name = "Take a photo" }).ClickAsync();
        await Expect(page, "#problem", "Choose a file instead.");
        await Accessible(page);
        await page.GetByLabel("Pictures", new() { Exact = true }).SetInputFilesAsync(Picture("dog.png", 1));
        await page.Locator(".answer").WaitForAsync();
        Assert.Equal("", await page.Locator("#problem").InnerTextAsync());
    }

    [Fact]
    public async Task Several_files_are_a_table_and_a_file_for_spreadsheets()
    {
        var page = await Open();
        await page.GetByLabel("Model").SelectOptionAsync("evil");
        await page.GetByLabel("Pictures", new() { Exact = true })
            .SetInputFilesAsync([
                Picture("a,\"b\".png", 1),
                Picture("=1+1.png", 2),
                new FilePayload
                {
                    Name = "none.png",
                    MimeType = "image/png",
                    Buffer = "no picture"u8.ToArray(),
                },
            ]);
        await page.GetByText("Download as CSV").WaitForAsync();
        Assert.Equal(3, await page.Locator("#result tbody tr").CountAsync());
        Assert.Contains(
            "JPEG, PNG, BMP or WebP",
            await page.Locator("#result tbody tr").Nth(2).InnerTextAsync(),
            StringComparison.Ordinal
        );
        await Accessible(page);
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByText("Download as CSV").ClickAsync());
        await using var stream = await download.CreateReadStreamAsync();
        using var reader = new StreamReader(stream);
        var lines = (await reader.ReadToEndAsync(TestContext.Current.CancellationToken)).Split("\r\n");
        Assert.Equal("file,class,probability,error", lines[0]);
        Assert.StartsWith("\"a,\"\"b\"\".png\",", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("\"'=1+1.png\",", lines[2], StringComparison.Ordinal); // no formula, wherever it is opened
        Assert.DoesNotContain(lines, line => line.Contains(",\"=", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_class_whose_name_is_HTML_is_a_name(bool hasScript)
    {
        var page = await Open(new() { JavaScriptEnabled = hasScript });
        await page.GetByLabel("Model").SelectOptionAsync("evil");
        await page.GetByLabel("Pictures", new() { Exact = true }).SetInputFilesAsync(Picture("dog.png", 1));
        if (!hasScript)
            await page.GetByRole(AriaRole.Button, new() { Name = "Classify" }).ClickAsync();
        await page.Locator(".answer").WaitForAsync();
        var text = await page.Locator("#result").InnerTextAsync();
        Assert.Contains(Evil, text, StringComparison.Ordinal);
        Assert.Contains(Formula, text, StringComparison.Ordinal);
        Assert.Equal("Try a model", await page.TitleAsync());
        AllWasWell();
    }

    [Fact]
    public async Task Without_script_it_is_a_form()
    {
        var page = await Open(new() { JavaScriptEnabled = false });
        Assert.False(await page.GetByRole(AriaRole.Button, new() { Name = "Take a photo" }).IsVisibleAsync());
        await page.GetByRole(AriaRole.Button, new() { Name = "Test picture 1 of 2" }).First.ClickAsync();
        await page.Locator(".answer").WaitForAsync();
        Assert.Equal(3, await page.Locator("#result tbody tr").CountAsync());
        await page.GetByLabel("Pictures", new() { Exact = true })
            .SetInputFilesAsync(
                new FilePayload
                {
                    Name = "none.png",
                    MimeType = "image/png",
                    Buffer = "no picture"u8.ToArray(),
                }
            );
        await page.GetByRole(AriaRole.Button, new() { Name = "Classify" }).ClickAsync();
        await Expect(page, "#problem", "JPEG, PNG, BMP or WebP");
        Assert.DoesNotContain(requested, url =>
            !url.StartsWith(server.Addresses[0], StringComparison.Ordinal)
            && !url.StartsWith("data:", StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task The_keyboard_reaches_everything_and_an_example_is_classified_by_it()
    {
        var page = await Open();
        var reached = new List<string>();
        for (var i = 0; i < 8; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            reached.Add(
                await page.EvaluateAsync<string>(
                    "document.activeElement.id || document.activeElement.name || document.activeElement.textContent"
                )
            );
            if (reached[^1] == "example")
                break;
        }

        Assert.Equal(["model", "picture", "Classify", "camera", "example"], reached);
        Assert.NotEqual(
            "none",
            await page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle")
        );
        await page.Keyboard.PressAsync("Enter");
        await page.Locator(".answer").WaitForAsync();
        Assert.Equal("polite", await page.Locator("#result").GetAttributeAsync("aria-live"));
        AllWasWell();
    }

    [Fact]
    public async Task A_file_that_is_too_large_is_not_even_sent()
    {
        var page = await Open();
        await page.GetByLabel("Pictures", new() { Exact = true })
            .SetInputFilesAsync(
                new FilePayload
                {
                    Name = "large.png",
                    MimeType = "image/png",
                    Buffer = new byte[1_100_000],
                }
            );
        await Expect(page, "#problem", "large.png has 1.0 MB; at most 1 MB are allowed.");
        Assert.DoesNotContain(requested, url => url.Contains("/classify", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1000)]
    [InlineData(ColorScheme.Dark, 1000)]
    [InlineData(ColorScheme.Light, 320)]
    public async Task It_is_accessible_and_fits(ColorScheme scheme, int width)
    {
        var page = await Open(
            new()
            {
                ColorScheme = scheme,
                ViewportSize = new() { Width = width, Height = 900 },
            }
        );
        await Accessible(page);
        await page.GetByLabel("Pictures", new() { Exact = true })
            .SetInputFilesAsync(Picture("a-picture-with-a-name-that-is-rather-long-for-a-narrow-window.png", 1));
        await page.Locator(".answer").WaitForAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Copy as C#" }).ClickAsync();
        await Accessible(page);
        Assert.True(
            await page.EvaluateAsync<int>("document.documentElement.scrollWidth") <= width,
            "it scrolls sideways"
        );
        TestContext.Current.AddAttachment(
            $"page-{scheme}-{width}",
            await page.ScreenshotAsync(new() { FullPage = true }),
            "image/png"
        );
        AllWasWell();
    }

    [Fact]
    public async Task Its_headers_let_nothing_in_and_nobody_frame_it()
    {
        var (_, _, response) = await server.Get("");
        var policy = response.Headers.GetValues("Content-Security-Policy").Single();
        foreach (
            var part in (string[])
                [
                    "default-src 'none'",
                    "frame-ancestors 'none'",
                    "base-uri 'none'",
                    "form-action 'self'",
                    "connect-src 'self'",
                ]
        )
            Assert.Contains(part, policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.DoesNotContain(
            "http",
            (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Replace(
                "http://www.w3.org/2000/svg",
                "",
                StringComparison.Ordinal
            ),
            StringComparison.Ordinal
        );
    }

    private static async Task Expect(IPage page, string selector, string text) =>
        await page.Locator(selector).Filter(new() { HasText = text }).WaitForAsync();

    private static byte[] Encoded(int seed) =>
        TestPictures.Encode(20, 12, SkiaSharp.SKEncodedImageFormat.Png, seed: seed);

    private static FilePayload Picture(string name, int seed) =>
        new()
        {
            Name = name,
            MimeType = "image/png",
            Buffer = Encoded(seed),
        };

    private static async Task Accessible(IPage page)
    {
        var result = await page.RunAxe();
        Assert.NotEmpty(result.Passes);
        Assert.True(
            result.Violations.Length == 0,
            string.Join(
                "\n",
                result.Violations.Select(item =>
                    $"{item.Id}: {item.Help} at {string.Join(", ", item.Nodes.Select(node => node.Html))}"
                )
            )
        );
    }

    private async Task<IPage> Open(BrowserNewContextOptions? options = null)
    {
        browser.SkipWithout();
        options ??= new();
        options.BaseURL = server.Addresses[0];
        context = await browser.Open(options);
        var page = await context.NewPageAsync();
        page.SetDefaultTimeout(30_000);
        page.Console += (_, message) => complaints.Add(message.Text);
        page.PageError += (_, error) => complaints.Add(error);
        context.Request += (_, request) => requested.Add(request.Url);
        await page.GotoAsync("/");
        return page;
    }

    /// <summary>The browser has complained of nothing, and asked nobody but the server.</summary>
    private void AllWasWell()
    {
        Assert.Empty(complaints);
        Assert.NotEmpty(requested);
        string[] own = [$"{server.Addresses[0]}/", "data:", $"blob:{server.Addresses[0]}/"];
        Assert.DoesNotContain(requested, url => !own.Any(start => url.StartsWith(start, StringComparison.Ordinal)));
    }
}
