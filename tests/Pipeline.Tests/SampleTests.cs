using System.Diagnostics;
using System.Net;
using SkiaSharp;

namespace TorchBridge.Pipeline.Tests;

/// <summary>The samples that serve a model, run with a tiny model.</summary>
public class SampleTests(TinyModel model) : IClassFixture<TinyModel>
{
    private string Onnx => Path.Combine(model.Out, "modern-cnn.onnx");

    [Fact]
    public void The_console_sample_checks_itself_and_classifies()
    {
        using var folder = new TempFolder();
        var result = Run.Program(
            Sample("ConsoleClassifier"),
            [Onnx, Picture(folder, "a.png"), Picture(folder, "b.png")]
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("16 of 16 pictures as in training", result.Output, StringComparison.Ordinal);
        Assert.Equal(3, result.Output.Trim().Split('\n').Length);
    }

    [Fact]
    public void The_text_decoder_generates_what_TorchSharp_generates()
    {
        var result = Run.Program(Sample("TextDecoder"), []);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("the same 50 tokens", result.Output, StringComparison.Ordinal);
        Assert.Contains("a cache holds what was seen", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_batch_job_goes_on_where_a_picture_is_broken()
    {
        using var folder = new TempFolder();
        foreach (var name in (string[])["a.png", "b.png", "c.png"])
            Picture(folder, name);
        File.WriteAllText(folder["broken.jpg"], "no picture");
        var result = Run.Program(Sample("BatchJob"), [Onnx, folder.Path]);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("broken.jpg", result.Error, StringComparison.Ordinal);
        Assert.Contains("left out: 1", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Predict_writes_a_file_of_a_folder_and_marks_what_is_broken()
    {
        using var folder = new TempFolder();
        Picture(folder, "a.png");
        File.WriteAllText(folder["broken.jpg"], "no picture");
        using var output = new TempFolder();
        var result = TinyModel.Program("predict", folder.Path, "--csv", output["p.csv"], "--out", model.Out);
        Assert.Equal(0, result.ExitCode);
        var lines = File.ReadAllLines(output["p.csv"]);
        Assert.Equal(3, lines.Length);
        Assert.Equal($"{folder["broken.jpg"]},,", lines[2]);
        Assert.Equal(3, lines[1].Split(',').Length);
        Assert.Contains("1 of them could not be read", result.Output, StringComparison.Ordinal);
        Assert.Equal(
            1,
            TinyModel.Program("predict", output.Path, "--csv", output["q.csv"], "--out", model.Out).ExitCode
        );
    }

    [Fact]
    public async Task The_web_sample_answers_and_tells_of_its_health()
    {
        var stop = TestContext.Current.CancellationToken;
        using var folder = new TempFolder();
        var start = new ProcessStartInfo(
            "dotnet",
            [Sample("WebClassifier"), "--model", Onnx, "--urls", "http://127.0.0.1:0"]
        )
        {
            RedirectStandardOutput = true,
            WorkingDirectory = folder.Path,
        };
        using var process = Process.Start(start)!;
        try
        {
            var address = "";
            while (await process.StandardOutput.ReadLineAsync(stop) is { } line)
            {
                var at = line.IndexOf("http://127.0.0.1:", StringComparison.Ordinal);
                if (at < 0)
                    continue;
                address = line[at..].Trim();
                break;
            }

            using var client = new HttpClient { BaseAddress = new Uri(address) };
            Assert.Equal("Healthy", await client.GetStringAsync(new Uri("health", UriKind.Relative), stop));
            using var picture = new ByteArrayContent(await File.ReadAllBytesAsync(Picture(folder, "a.png"), stop));
            using var answer = await client.PostAsync(new Uri("classify", UriKind.Relative), picture, stop);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Contains("\"probability\":", await answer.Content.ReadAsStringAsync(stop), StringComparison.Ordinal);
            using var nonsense = new ByteArrayContent([1, 2, 3]);
            using var refusal = await client.PostAsync(new Uri("classify", UriKind.Relative), nonsense, stop);
            Assert.Equal(HttpStatusCode.BadRequest, refusal.StatusCode);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static string Sample(string name) => Path.Combine(Run.OutputOf("samples", name), $"{name}.dll");

    private static string Picture(TempFolder folder, string name)
    {
        File.WriteAllBytes(folder[name], TestPictures.Encode(40, 32, SKEncodedImageFormat.Png, seed: name[0]));
        return folder[name];
    }
}
