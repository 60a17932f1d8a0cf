using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Graph;

namespace TorchBridge.Quantization.Tests.Verification;

/// <summary>What the proof compares: every output of every type, and rows of classes. If nothing was compared, there
/// is no proof.</summary>
public class FidelityCheckTests
{
    private static readonly QuantizationOptions NoFallBack = new()
    {
        FallBack = false,
        Method = CalibrationMethod.MinMax,
    };

    [Theory]
    [InlineData("float32", "has a signal-to-noise ratio of")]
    [InlineData("float64", "has a signal-to-noise ratio of")]
    [InlineData("float16", "has a signal-to-noise ratio of")]
    [InlineData("int64", "of its elements")]
    [InlineData("uint8", "of its elements")]
    [InlineData("bool", "of its elements")]
    public void A_ruined_output_is_seen_whatever_its_type(string type, string expected)
    {
        using var folder = new TempFolder();
        var model = Ruined(type).Save(folder["model.onnx"]);
        var batches = FoundBatches.Of(model, 4);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"], NoFallBack)
        );
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["int8.onnx"]));
        // Layers that cost too much go back to float, and the sensitivity of integers is measured too.
        var report = OnnxQuantizer.Quantize(
            model,
            batches,
            folder["int8.onnx"],
            NoFallBack with
            {
                FallBack = true,
                MeasureSensitivity = true,
            }
        );
        Assert.NotEmpty(report.Sensitivity);
        Assert.Contains(report.LeftInFloat, left => left.Reason.StartsWith("fallback", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.NaN)]
    public void What_both_sides_give_as_infinity_or_NaN_is_equal(float value)
    {
        using var folder = new TempFolder();
        var model = new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 5)
            .Node("MatMul", ["x", "w"], "a")
            .With(source => source.Graph.Add(Initializer.Of("mask", [0, value, 0, 0, 0], 5)))
            .Node("Add", ["a", "mask"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 4), folder["int8.onnx"]);
        Assert.InRange(report.Fidelity.Outputs.Single().Decibels, 30, 100);
    }

    [Fact]
    public void Rows_are_those_of_the_output_whatever_the_first_input_is()
    {
        using var folder = new TempFolder();
        // A scalar first, then two rows that become eight of classes.
        var model = new SmallModel()
            .Input("scale", ElementType.Float32)
            .Input("x", 8)
            .Weight("w", 8, 16)
            .Node("MatMul", ["x", "w"], "a")
            .Node("Mul", ["a", "scale"], "m")
            .With(source => source.Graph.Add(Initializer.Of<long>("shape", ElementType.Int64, [-1L, 4L], 2)))
            .Node("Reshape", ["m", "shape"], "r")
            .Node("Softmax", ["r"], "y", ("axis", -1L))
            .Output("y")
            .Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(
            model,
            FoundBatches.Of(model, 4),
            folder["int8.onnx"],
            new QuantizationOptions { Budget = new AccuracyBudget { Agreement = 0.8 } }
        );
        Assert.Equal(16, report.Fidelity.Rows);
        Assert.InRange(report.Fidelity.Agreement!.Value, 0.8, 1);
    }

    [Fact]
    public void Labels_that_are_not_one_a_row_are_refused()
    {
        using var folder = new TempFolder();
        var model = new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 5)
            .Node("MatMul", ["x", "w"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);
        QuantizationBatch[] batches = [.. FoundBatches.Of(model, 2).Select(batch => batch with { Labels = [0, 1] })];
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"])
        );
        Assert.Contains("batch 1 has 2 labels, but output 'y' has 4 rows", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_embedding_is_held_to_its_noise_and_not_to_its_largest_element()
    {
        using var folder = new TempFolder();
        // 512 numbers that lie close together: which is the largest says nothing.
        var model = new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 512)
            .With(source => source.Graph.Add(Initializer.Of("b", [.. Enumerable.Repeat(10f, 512)], 512)))
            .Node("Gemm", ["x", "w", "b"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);
        var batches = FoundBatches.Of(model, 8);
        var report = OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"], NoFallBack);
        Assert.Null(report.Fidelity.Agreement);
        Assert.InRange(report.Fidelity.Outputs.Single().Decibels, 30, 100);
        var asked = OnnxQuantizer.Quantize(
            model,
            batches,
            folder["int8.onnx"],
            NoFallBack with
            {
                IsClassifier = true,
                Budget = new AccuracyBudget { Agreement = 0 },
            }
        );
        Assert.InRange(asked.Fidelity.Agreement!.Value, 0, 1);
    }

    [Fact]
    public void Of_two_heads_the_layers_of_the_one_that_misses_the_budget_go_back()
    {
        using var folder = new TempFolder();
        var source = new SmallModel()
            .Input("x", 3, 5, 6)
            .Weight("w", 4, 3, 3, 3)
            .Node("Conv", ["x", "w"], "good")
            .Output("good");
        var model = Outliers(source).Node("Identity", ["z"], "bad").Output("bad").Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(
            model,
            FoundBatches.Of(model, 4),
            folder["int8.onnx"],
            NoFallBack with
            {
                FallBack = true,
                Budget = new AccuracyBudget { Decibels = 20 },
            }
        );
        Assert.Contains("Conv:good", report.Quantized);
        Assert.All(report.LeftInFloat, left => Assert.Contains("output 'bad'", left.Reason, StringComparison.Ordinal));
        Assert.NotEmpty(report.LeftInFloat);
        Assert.All(report.Sensitivity, layer =>
            Assert.Equal(["good", "bad"], layer.Outputs.Select(output => output.Name))
        );
    }

    [Fact]
    public void Nothing_compared_is_refused()
    {
        using var folder = new TempFolder();
        var model = new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 5)
            .Node("MatMul", ["x", "w"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);
        var nothing = new QuantizationBatch([NamedOnnxValue.CreateFromTensor("x", new DenseTensor<float>([0, 8]))]);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, [nothing], folder["int8.onnx"])
        );
        Assert.Contains("produce no output with any elements", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_output_with_as_many_rows_as_its_data_have_is_compared_or_refused()
    {
        using var folder = new TempFolder();
        var model = new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 64)
            .Node("MatMul", ["x", "w"], "a")
            .Node("Greater", ["a", "zero"], "c")
            .With(source => source.Graph.Add(Initializer.Of("zero", [0.001f])))
            .Node("NonZero", ["c"], "y")
            .Output("y", ElementType.Int64)
            .Save(folder["model.onnx"]);
        try
        {
            var report = OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 16), folder["int8.onnx"], NoFallBack);
            Assert.Equal(0, report.Fidelity.Outputs.Single().OtherShapes);
        }
        catch (QuantizationException error)
        {
            Assert.Contains("differs in shape from the float model's", error.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>A channel of outliers between two layers: with everything that was seen as its range, the rest is
    /// lost.</summary>
    private static SmallModel Outliers(SmallModel model)
    {
        float[] first = model.Numbers(8, 3),
            second = model.Numbers(4, 8);
        for (var i = 0; i < 3; i++)
            first[i] *= 30_000;
        for (var i = 0; i < 4; i++)
            second[8 * i] = 0;
        model.Graph.Add(Initializer.Of("w1", first, 8, 3, 1, 1));
        model.Graph.Add(Initializer.Of("w2", second, 4, 8, 1, 1));
        return model.Node("Conv", ["x", "w1"], "o").Node("Conv", ["o", "w2"], "z");
    }

    private static SmallModel Ruined(string type)
    {
        // A layer without loss comes after them, so that one is left when the two others have returned to float32.
        var model = Outliers(new SmallModel().Input("x", 3, 5, 6))
            .Weight("w3", 4, 4, 1, 1)
            .Node("Relu", ["z"], "zr")
            .Node("Conv", ["zr", "w3"], "z3");
        return type switch
        {
            "float64" => model
                .Node("Cast", ["z3"], "y", ("to", (long)ElementType.Float64))
                .Output("y", ElementType.Float64),
            "float16" => model
                .Node("Cast", ["z3"], "y", ("to", (long)ElementType.Float16))
                .Output("y", ElementType.Float16),
            "int64" => model.Node("ArgMax", ["z3"], "y", ("axis", 1L)).Output("y", ElementType.Int64),
            "uint8" => model
                .With(source => source.Graph.Add(Initializer.Of("ten", [10f])))
                .Node("Sigmoid", ["z3"], "s")
                .Node("Mul", ["s", "ten"], "m")
                .Node("Cast", ["m"], "y", ("to", (long)ElementType.UInt8))
                .Output("y", ElementType.UInt8),
            "bool" => model
                .With(source => source.Graph.Add(Initializer.Of("zero", [0f])))
                .Node("Greater", ["z3", "zero"], "y")
                .Output("y", ElementType.Bool),
            _ => model.Node("Identity", ["z3"], "y").Output("y"),
        };
    }
}
