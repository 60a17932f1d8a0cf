using System.Text.Json;
using System.Text.RegularExpressions;
using TorchBridge.Inference;
using TorchBridge.Testing;
using TorchBridge.Training.Data;

namespace TorchBridge.Pipeline.Tests;

/// <summary>A tiny network is trained for seconds on built-in pictures, exported and packaged once; the tests check
/// the files that were written.</summary>
public sealed class TinyModel : IDisposable
{
    private readonly TempFolder folder = new();

    public TinyModel()
    {
        Result = Program(
            "train",
            "--width",
            "8",
            "--pictures",
            "300",
            "--epochs",
            "2",
            "--seed",
            "7",
            "--out",
            Out,
            "--json",
            folder["result.json"]
        );
    }

    public RunResult Result { get; }

    public string Out => folder["models"];

    public string ResultFile => folder["result.json"];

    public static RunResult Program(params string[] arguments) =>
        Run.Program(Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll"), arguments);

    public void Dispose() => folder.Dispose();
}

public class WholeRoadTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Fact]
    public void Trains_exports_packages_and_proves()
    {
        Assert.Equal((0, ""), (model.Result.ExitCode, model.Result.Error));
        foreach (
            var file in (string[])
                [
                    "modern-cnn.onnx",
                    "modern-cnn.zip",
                    "modern-cnn.safetensors",
                    "modern-cnn.card.json",
                    "modern-cnn.curves.svg",
                    "modern-cnn.curves.png",
                    "modern-cnn.confusion.svg",
                    "modern-cnn.confusion.png",
                    "modern-cnn.reliability.svg",
                    "modern-cnn.reliability.png",
                    "modern-cnn.report.html",
                ]
        )
            Assert.True(new FileInfo(Path.Combine(model.Out, file)).Length > 500, file);
        Assert.Equal(11, Directory.GetFileSystemEntries(model.Out).Length);
        Assert.Equal(3, model.Result.Output.Split("agreement 100 of 100").Length - 1);
        Assert.Contains("10 Conv", model.Result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("BatchNormalization", model.Result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Dropout", model.Result.Output, StringComparison.Ordinal);
        Assert.Equal(
            2,
            JsonDocument
                .Parse(File.ReadAllText(model.ResultFile))
                .RootElement.GetProperty("training")
                .GetProperty("history")
                .GetArrayLength()
        );
    }

    [Fact]
    public void The_report_is_one_page_without_anything_external()
    {
        var html = File.ReadAllText(Path.Combine(model.Out, "modern-cnn.report.html"));
        Assert.Equal(3, html.Split("<svg ").Length - 1);
        Assert.Equal(3, html.Split("</svg>").Length - 1);
        foreach (var external in (string[])["<script", "<link", "href=\"http", "@import", "<?xml"])
            Assert.DoesNotContain(external, html, StringComparison.OrdinalIgnoreCase);
        // The pictures of the worst mistakes are embedded in the page.
        Assert.All(Regex.Matches(html, "src=\"([^\"]*)", RegexOptions.IgnoreCase), match =>
            Assert.StartsWith("data:image/png;base64,", match.Groups[1].Value, StringComparison.Ordinal)
        );
        Assert.Contains("ML.NET zip", html, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights_and_the_same_graph()
    {
        using var again = new TinyModel();
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.safetensors")),
            File.ReadAllBytes(Path.Combine(again.Out, "modern-cnn.safetensors"))
        );
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.onnx")),
            File.ReadAllBytes(Path.Combine(again.Out, "modern-cnn.onnx"))
        );
    }

    [Fact]
    public void Evaluate_export_and_parity_start_from_the_weights()
    {
        using var folder = new TempFolder();
        File.Copy(Path.Combine(model.Out, "modern-cnn.safetensors"), folder["modern-cnn.safetensors"]);
        var export = TinyModel.Program("export", "--out", folder.Path);
        Assert.Equal((0, ""), (export.ExitCode, export.Error));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.onnx")),
            File.ReadAllBytes(folder["modern-cnn.onnx"])
        );
        var parity = TinyModel.Program("parity", "--out", folder.Path, "--json", folder["parity.json"]);
        Assert.Equal(0, parity.ExitCode);
        var rows = JsonDocument.Parse(File.ReadAllText(folder["parity.json"])).RootElement.GetProperty("rows");
        Assert.Equal(9, rows.GetArrayLength());
        Assert.All(rows.EnumerateArray(), row =>
            Assert.InRange(row.GetProperty("largest_absolute").GetDouble(), 0, row.GetProperty("tolerance").GetDouble())
        );
        var evaluate = TinyModel.Program("evaluate", "--out", folder.Path);
        Assert.Contains("100 pictures", evaluate.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_reads_better_than_stock_ML_NET_gets_no_zip_and_says_why()
    {
        using var folder = new TempFolder();
        foreach (var (name, seed) in ((string, int)[])[("a", 1), ("b", 90)])
        {
            Directory.CreateDirectory(folder["data", name]);
            for (var i = 0; i < 20; i++)
                File.WriteAllBytes(
                    folder["data", name, $"{i:D2}.png"],
                    TestPictures.Encode(70 + i, 60, SkiaSharp.SKEncodedImageFormat.Png, seed: seed + i)
                );
        }

        var train = TinyModel.Program(
            "train",
            "--data",
            folder["data"],
            "--antialias",
            "--orient",
            "--size",
            "16",
            "--width",
            "8",
            "--epochs",
            "1",
            "--batch",
            "8",
            "--out",
            folder["models"]
        );
        Assert.Equal((0, ""), (train.ExitCode, train.Error));
        Assert.Contains(
            "No ML.NET zip: the model reads its pictures with antialiased resizing and EXIF orientation",
            train.Output,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "ImageClassifier, from picture files: agreement 4 of 4",
            train.Output,
            StringComparison.Ordinal
        );
        Assert.False(File.Exists(folder["models", "modern-cnn.zip"]));
        Assert.Equal(0, TinyModel.Program("parity", "--out", folder["models"]).ExitCode);
    }

    [Fact]
    public void Modes_are_compared_and_the_model_is_left_as_it_is()
    {
        using var folder = new TempFolder();
        foreach (var file in Directory.GetFiles(model.Out))
            File.Copy(file, folder[Path.GetFileName(file)]);
        var modes = TinyModel.Program("parity", "--modes", "--out", folder.Path, "--json", folder["modes.json"]);
        Assert.Equal((0, ""), (modes.ExitCode, modes.Error));
        Assert.Contains("Largest drift: ", modes.Output, StringComparison.Ordinal);
        var result = JsonDocument.Parse(File.ReadAllText(folder["modes.json"])).RootElement;
        Assert.Equal(10, result.GetProperty("drift").GetArrayLength());
        Assert.Equal(
            [2, 8, 32],
            result.GetProperty("train_mode").EnumerateArray().Select(row => row.GetProperty("batch_size").GetInt32())
        );
        foreach (var picture in (string[])["drift.svg", "drift.png", "modes.svg", "modes.png"])
            Assert.True(new FileInfo(folder[$"modern-cnn.{picture}"]).Length > 1000, picture);
        foreach (var file in (string[])["safetensors", "onnx", "zip", "card.json"])
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(model.Out, $"modern-cnn.{file}")),
                File.ReadAllBytes(folder[$"modern-cnn.{file}"])
            );

        var recalibrated = TinyModel.Program(
            "parity",
            "--recalibrate",
            "--out",
            folder.Path,
            "--json",
            folder["recalibrated.json"]
        );
        Assert.Equal((0, ""), (recalibrated.ExitCode, recalibrated.Error));
        var recalibration = JsonDocument
            .Parse(File.ReadAllText(folder["recalibrated.json"]))
            .RootElement.GetProperty("recalibration");
        var kept = recalibration.GetProperty("kept").GetBoolean();
        Assert.Equal(
            kept,
            recalibration.GetProperty("loss_after").GetDouble() <= recalibration.GetProperty("loss_before").GetDouble()
        );
        Assert.Equal(
            !kept,
            File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.safetensors"))
                .SequenceEqual(File.ReadAllBytes(folder["modern-cnn.safetensors"]))
        );
        Assert.Equal(0, TinyModel.Program("parity", "--out", folder.Path).ExitCode);
    }

    [Fact]
    public void Explain_lists_every_operation()
    {
        using var folder = new TempFolder();
        File.Copy(Path.Combine(model.Out, "modern-cnn.safetensors"), folder["modern-cnn.safetensors"]);
        var export = TinyModel.Program("export", "--explain", "--out", folder.Path, "--json", folder["export.json"]);
        Assert.Equal((0, ""), (export.ExitCode, export.Error));
        var values = JsonDocument
            .Parse(File.ReadAllText(folder["export.json"]))
            .RootElement.GetProperty("values")
            .EnumerateArray()
            .ToArray();
        Assert.InRange(values.Length, 20, 60);
        Assert.All(values, value => Assert.False(value.TryGetProperty("difference", out _)));
    }

    [Fact]
    public void Parity_fails_where_the_files_are_another_networks()
    {
        using var folder = new TempFolder();
        using var other = new TempFolder();
        Assert.Equal(
            0,
            TinyModel
                .Program(
                    "train",
                    "--width",
                    "8",
                    "--pictures",
                    "300",
                    "--epochs",
                    "1",
                    "--seed",
                    "8",
                    "--out",
                    other.Path
                )
                .ExitCode
        );
        File.Copy(Path.Combine(other.Path, "modern-cnn.safetensors"), folder["modern-cnn.safetensors"]);
        File.Copy(Path.Combine(model.Out, "modern-cnn.onnx"), folder["modern-cnn.onnx"]);
        File.Copy(Path.Combine(model.Out, "modern-cnn.zip"), folder["modern-cnn.zip"]);
        var parity = TinyModel.Program("parity", "--out", folder.Path);
        Assert.Equal(1, parity.ExitCode);
        Assert.Contains("Parity failed", parity.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_zip_runs_in_a_program_with_only_stock_ML_NET_with_the_onnx_file_gone()
    {
        using var elsewhere = new TempFolder();
        File.Copy(Path.Combine(model.Out, "modern-cnn.zip"), elsewhere["model.zip"]);
        var drawn = DrawnPictures.Make(7, 100, 10, 10).Test;
        var pictures = Enumerable
            .Range(0, 5)
            .Select(i =>
            {
                File.WriteAllBytes(elsewhere[$"{i}.png"], DataSource.ToPng(drawn.Picture(i), 32, 32));
                return elsewhere[$"{i}.png"];
            })
            .ToArray();
        var output = Run.OutputOf("samples", "StockMlNet");
        Assert.Empty(Directory.GetFiles(output, "*orch*", SearchOption.AllDirectories));

        var result = Run.Program(Path.Combine(output, "StockMlNet.dll"), ["model.zip", .. pictures], elsewhere.Path);

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        using var classifier = ImageClassifier.Load(Path.Combine(model.Out, "modern-cnn.onnx"));
        var lines = result.Output.Trim().Split('\n');
        Assert.Equal(5, lines.Length);
        for (var i = 0; i < 5; i++)
        {
            var prediction = classifier.Classify(pictures[i]);
            Assert.Equal(
                FormattableString.Invariant(
                    $"{pictures[i]}: {prediction.Label} ({prediction.Label} {prediction.Probabilities.Max():F4})"
                ),
                lines[i].Trim()
            );
        }
    }

    [Fact]
    public void Predict_gives_the_three_most_probable_classes()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(
            folder["a.png"],
            DataSource.ToPng(DrawnPictures.Make(7, 100, 10, 10).Test.Picture(0), 32, 32)
        );
        var result = TinyModel.Program("predict", folder["a.png"], "--out", model.Out, "--json", folder["p.json"]);
        Assert.Equal(0, result.ExitCode);
        var top = JsonDocument
            .Parse(File.ReadAllText(folder["p.json"]))
            .RootElement[0]
            .GetProperty("top")
            .EnumerateArray()
            .Select(item => item.GetProperty("probability").GetSingle())
            .ToArray();
        Assert.Equal(3, top.Length);
        Assert.Equal(top.OrderDescending(), top);
        Assert.Contains(
            "is not a picture",
            TinyModel.Program("predict", Path.Combine(model.Out, "modern-cnn.card.json"), "--out", model.Out).Error,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("--epochs is 0", "train", "--epochs", "0")]
    [InlineData("--no-such-option", "train", "--no-such-option")]
    [InlineData("there is no such folder", "train", "--data", "no/such/folder")]
    [InlineData("cannot be written", "train", "--out", "/proc/nowhere")]
    [InlineData("Train a model first", "evaluate", "--out", "no/such/folder")]
    [InlineData("Train a model first", "predict", "a.png", "--out", "no/such/folder")]
    public void Wrong_use_is_told_in_a_paragraph_without_a_stack_trace(string message, params string[] arguments)
    {
        Assert.SkipWhen(
            arguments.Contains("/proc/nowhere") && !OperatingSystem.IsLinux(),
            "there is no folder that nobody can write on this system"
        );
        using var folder = new TempFolder();
        var result = TinyModel.Program(arguments.Contains("--out") ? arguments : [.. arguments, "--out", folder.Path]);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.Trim().Split('\n'));
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void A_broken_weights_file_is_told_in_a_paragraph()
    {
        using var folder = new TempFolder();
        var whole = File.ReadAllBytes(Path.Combine(model.Out, "modern-cnn.safetensors"));
        File.WriteAllBytes(folder["modern-cnn.safetensors"], whole[..(whole.Length - 100)]);
        var result = TinyModel.Program("export", "--out", folder.Path);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("is not a complete safetensors file", result.Error, StringComparison.Ordinal);
        Assert.Single(folder.Files);
    }
}
