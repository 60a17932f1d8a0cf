using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using SkiaSharp;
using TorchBridge.Inference;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Testing;
using TorchBridge.Training.Networks;

namespace TorchBridge.Pipeline.Tests;

/// <summary>The command <c>quantize</c>, and every way of serving its result.</summary>
public sealed class QuantizeCommandTests(TinyModel model) : IClassFixture<TinyModel>
{
    [Fact]
    public void The_int8_model_is_served_by_every_route_and_says_what_it_is()
    {
        using var folder = Copy();
        var result = TinyModel.Program(
            "quantize",
            "--out",
            folder.Path,
            "--calibration",
            "64",
            "--sensitivity",
            "--json",
            folder["result.json"]
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("same class in", result.Output, StringComparison.Ordinal);
        foreach (var file in (string[])["onnx", "zip", "card.json", "sensitivity.svg", "sensitivity.png"])
            Assert.True(new FileInfo(folder[$"modern-cnn.int8.{file}"]).Length > 500, file);
        // A model card is passed on with its model, so it must not contain paths of the machine that made it.
        var card = File.ReadAllText(folder["modern-cnn.int8.card.json"]);
        Assert.Contains("\"path\": \"modern-cnn.int8.onnx\"", card, StringComparison.Ordinal);
        Assert.DoesNotContain(folder.Path, card, StringComparison.Ordinal);
        var report = JsonDocument.Parse(File.ReadAllText(folder["result.json"])).RootElement;
        Assert.Equal(
            (64, 100),
            (
                report.GetProperty("calibration_rows").GetInt32(),
                report.GetProperty("test").GetProperty("rows").GetInt32()
            )
        );
        Assert.Equal(11, report.GetProperty("sensitivity").GetArrayLength());
        Assert.InRange(report.GetProperty("test").GetProperty("agreement").GetDouble(), 0.95, 1);

        using var classifier = ImageClassifier.Load(folder["modern-cnn.int8.onnx"]);
        // The model's own logits were computed on this machine, so they are the same here.
        Assert.Equal(0, classifier.Verify().LargestDifference);
        Assert.False(Saturated(folder["modern-cnn.int8.onnx"]).Passed);
        var files = Pictures(folder);
        var labels = files.Select(file => classifier.Classify(file).Label).ToArray();
        Assert.Equal(labels, StockPipeline.Score(folder["modern-cnn.int8.zip"], files).Select(row => row.Label));
        var context = new MLContext(seed: 1);
        var data = context.Data.LoadFromEnumerable(files.Select(file => new Row { ImagePath = file }).ToArray());
        using var transformer = context.Transforms.ClassifyImages(folder["modern-cnn.int8.onnx"]).Fit(data);
        Assert.Equal(
            labels,
            context
                .Data.CreateEnumerable<Scored>(transformer.Transform(data), reuseRowObject: false)
                .Select(row => row.PredictedLabel)
        );
        var predicted = TinyModel.Program(["predict", .. files, "--variant", "int8", "--out", folder.Path]);
        Assert.Equal(labels, predicted.Output.Trim().Split('\n').Select(line => line.Split(": ")[1].Split(' ')[0]));
    }

    /// <summary>
    /// The self-check on a simulated processor whose sums saturate: the weights of one layer that exceed 7 bits, with
    /// which a sum of two products may overflow, are clipped.
    /// </summary>
    private static SelfCheckResult Saturated(string path)
    {
        var graph = OnnxReader.Read(File.ReadAllBytes(path), path);
        var weights = graph.Initializers.Values.First(tensor => tensor is { Type: ElementType.Int8, Dims.Length: 4 });
        var cut = weights.Data.ToArray().Select(value => (byte)Math.Clamp((int)(sbyte)value, -64, 63)).ToArray();
        graph.Initializers[weights.Name] = new Initializer(weights.Name, weights.Type, weights.Dims, cut);
        using var classifier = ImageClassifier.Load(OnnxWriter.ToBytes(graph), path);
        return classifier.Verify();
    }

    [Theory]
    [InlineData("weights_int8", "weights-int8")]
    [InlineData("weights_float16", "float16")]
    public void Smaller_weights_load_in_stock_ML_NET(string mode, string name)
    {
        using var folder = Copy();
        var result = TinyModel.Program("quantize", "--mode", mode, "--out", folder.Path);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.True(
            new FileInfo(folder[$"modern-cnn.{name}.onnx"]).Length < new FileInfo(folder["modern-cnn.onnx"]).Length
        );
        var files = Pictures(folder);
        var small = StockPipeline.Score(folder[$"modern-cnn.{name}.zip"], files).ToArray();
        var full = StockPipeline.Score(folder["modern-cnn.zip"], files).ToArray();
        // Half a step of 1/127 of the largest weight, through a few layers; float16 has eleven bits.
        foreach (var (a, b) in small.Zip(full))
            Close.To(b.Scores, a.Scores, mode == "weights_int8" ? 0.05 : 2e-3, 0, "weights of fewer bits");
    }

    [Fact]
    public void A_new_export_takes_away_what_was_quantized_from_the_old_model()
    {
        using var folder = Copy();
        Assert.Equal(
            0,
            TinyModel.Program("quantize", "--out", folder.Path, "--calibration", "64", "--sensitivity").ExitCode
        );
        Assert.Equal(0, TinyModel.Program("quantize", "--out", folder.Path, "--mode", "weights_float16").ExitCode);
        Assert.Contains("modern-cnn.float16.zip", folder.Files);
        var result = TinyModel.Program("export", "--out", folder.Path);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.DoesNotContain(folder.Files, file =>
            file.Contains("int8", StringComparison.Ordinal) || file.Contains("float16", StringComparison.Ordinal)
        );
        Assert.Contains("modern-cnn.onnx", folder.Files);
    }

    [Fact]
    public void A_budget_that_is_missed_leaves_no_file_and_a_wrong_option_is_named()
    {
        using var folder = Copy();
        var before = folder.Files;
        var missed = TinyModel.Program("quantize", "--out", folder.Path, "--calibration", "1", "--weight-bits", "9");
        Assert.Equal((1, "--weight-bits is 9; allowed is 7 or 8."), (missed.ExitCode, missed.Error.Trim()));
        var unknown = TinyModel.Program("quantize", "--out", folder.Path, "--keep-float", "nowhere");
        Assert.Equal(1, unknown.ExitCode);
        Assert.StartsWith("The model was not quantized: ", unknown.Error, StringComparison.Ordinal);
        Assert.Contains("has no node 'nowhere'", unknown.Error, StringComparison.Ordinal);
        File.Delete(folder["modern-cnn.onnx"]);
        var none = TinyModel.Program("quantize", "--out", folder.Path);
        Assert.Contains(
            "modern-cnn.onnx does not exist. Create it with `train` or `export`.",
            none.Error,
            StringComparison.Ordinal
        );
        Assert.Equal(before.Except(["modern-cnn.onnx"]), folder.Files);
    }

    private TempFolder Copy()
    {
        var folder = new TempFolder();
        foreach (var name in (string[])["modern-cnn.onnx", "modern-cnn.zip", "modern-cnn.safetensors"])
            File.Copy(Path.Combine(model.Out, name), folder[name]);
        return folder;
    }

    private static string[] Pictures(TempFolder folder) =>
        [
            .. Enumerable
                .Range(0, 12)
                .Select(i =>
                {
                    var path = folder[$"{i:D2}.png"];
                    File.WriteAllBytes(path, TestPictures.Encode(40, 32, SKEncodedImageFormat.Png, seed: i * 53));
                    return path;
                }),
        ];

    private sealed class Row
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Scored
    {
        public string PredictedLabel { get; set; } = "";
    }
}
