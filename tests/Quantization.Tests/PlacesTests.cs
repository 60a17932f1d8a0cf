namespace TorchBridge.Quantization.Tests;

/// <summary>Paths that do not exist or cannot be written are refused before anything is computed, with a message that
/// contains the path.</summary>
public class PlacesTests
{
    public static TheoryData<string, string> BadOutputs =>
        new()
        {
            { "", "is empty" },
            { "  ", "is empty" },
            { "missing/small.onnx", "does not exist" },
            { "model.onnx/small.onnx", "does not exist" },
            { ".", "it is a folder" },
            { "a\0b.onnx", "cannot be written" },
        };

    [Theory]
    [MemberData(nameof(BadOutputs))]
    public void An_output_that_cannot_be_written_is_refused_first(string output, string reason)
    {
        using var folder = new TempFolder();
        var model = Model(folder);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(
                model,
                Unread(),
                string.IsNullOrWhiteSpace(output) ? output : Path.Combine(folder.Path, output)
            )
        );
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal([model], Directory.GetFiles(folder.Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData("missing.onnx")]
    [InlineData("missing/model.onnx")]
    [InlineData(".")]
    [InlineData("a\0b.onnx")]
    public void A_model_that_cannot_be_read_is_refused_with_its_path(string path)
    {
        using var folder = new TempFolder();
        var model = string.IsNullOrWhiteSpace(path) ? path : Path.Combine(folder.Path, path);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, Unread(), folder["small.onnx"])
        );
        Assert.Contains(model, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_model_may_be_replaced_by_its_own_quantization()
    {
        using var folder = new TempFolder();
        var model = Model(folder);
        var before = new FileInfo(model).Length;
        OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 8), model);
        Assert.NotEqual(before, new FileInfo(model).Length);
        Assert.Equal([model], Directory.GetFiles(folder.Path));
    }

    private static string Model(TempFolder folder) =>
        new SmallModel()
            .Input("x", 16)
            .Weight("w", 16, 20)
            .Node("MatMul", ["x", "w"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);

    /// <summary>Batches that are an error to ask for: nothing is calibrated for a path that leads nowhere.</summary>
    private static IEnumerable<QuantizationBatch> Unread()
    {
        Assert.Fail("calibrated before the paths were looked at");
        yield break;
    }
}
