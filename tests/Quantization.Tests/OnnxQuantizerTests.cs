using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Export;
using TorchBridge.Export.Tests;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Verification;
using TorchBridge.Quantization.Weights;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace TorchBridge.Quantization.Tests;

/// <summary>Complete files: what becomes integer, how accurate the result is, what is refused, and that a refusal
/// writes no file.</summary>
public class OnnxQuantizerTests
{
    /// <summary>Networks with the layers that stay in float32, and the least signal to noise: 8 bits give some 40 dB
    /// a layer, and each layer adds its noise.</summary>
    public static TheoryData<string, string[], double> Networks =>
        new()
        {
            { "resnet", [], 25 },
            { "inception", [], 25 },
            { "mobilenet v2", [], 20 },
            { "mobilenet v3", [], 15 },
            { "vgg", [], 25 },
            { "unet", ["ConvTranspose", "ConvTranspose"], 20 },
            { "grouped transpose", ["ConvTranspose"], 25 },
            { "gru", ["GRU", "GRU"], 25 },
            { "lstm", ["LSTM", "LSTM"], 25 },
            { "conv1d and linear", [], 25 },
            { "vision transformer", ["MatMul", "MatMul", "MatMul", "MatMul"], 20 },
        };

    [Theory]
    [MemberData(nameof(Networks))]
    public void Each_network_runs_in_integers_and_says_what_stays_in_float(string name, string[] left, double decibels)
    {
        using var folder = new TempFolder();
        var (model, batches) = Export(name, folder);
        var report = OnnxQuantizer.Quantize(
            model,
            batches,
            folder["int8.onnx"],
            new QuantizationOptions
            {
                HeldOut = Batches(name, seed: 99),
                Budget = new AccuracyBudget { Decibels = decibels, Agreement = 0.9 },
                FallBack = false,
            }
        );
        Assert.Equal(left, report.LeftInFloat.Select(layer => layer.OpType));
        Assert.All(report.LeftInFloat, layer => Assert.True(layer.Reason.Length > 20, layer.Reason));
        Assert.All(report.Values, value => Assert.InRange(value.Decibels, decibels - 10, Noise.Exact));
        TestContext.Current.TestOutputHelper!.WriteLine($"{name}: {report}");
        // The runtime made integer nodes of every layer.
        var optimized = Optimized(folder["int8.onnx"], folder["optimized.onnx"]);
        Assert.DoesNotContain("Conv", optimized);
        Assert.Equal(optimized.Count(type => type is "QLinearConv"), Nodes(model).Count(type => type == "Conv"));
        Assert.DoesNotContain("Gemm", optimized);
    }

    [Fact]
    public void Relu_add_and_pooling_stay_in_integers_between_the_first_conversion_and_the_last_layer()
    {
        using var folder = new TempFolder();
        var (model, batches) = Export("resnet", folder);
        OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"]);
        var optimized = Optimized(folder["int8.onnx"], folder["optimized.onnx"]);
        Assert.Equal(1, optimized.Count(type => type == "QuantizeLinear"));
        Assert.DoesNotContain("Relu", optimized);
        Assert.DoesNotContain("Add", optimized);
        Assert.DoesNotContain("GlobalAveragePool", optimized);
        Assert.Contains("QLinearAdd", optimized);
    }

    [Fact]
    public void A_convolution_equals_integer_arithmetic_done_by_hand()
    {
        using var folder = new TempFolder();
        random.manual_seed(21);
        using var conv = nn.Conv2d(3, 4, 3, padding: 1, stride: 2, bias: true);
        using var example = randn(1, 3, 7, 6);
        OnnxExporter.Export(conv, example, folder["conv.onnx"]);
        var batches = Enumerable.Range(0, 8).Select(i => Batch("input", [2, 3, 7, 6], seed: i)).ToArray();
        OnnxQuantizer.Quantize(
            folder["conv.onnx"],
            batches,
            folder["int8.onnx"],
            new QuantizationOptions
            {
                Method = CalibrationMethod.MinMax,
                Activations = ActivationType.UInt8,
                WeightBits = 8,
            }
        );
        var quantized = OnnxReader.Read(folder["int8.onnx"]);
        float Scalar(string name) => quantized.Initializers[name].Floats()[0];
        byte Zero(string name) => quantized.Initializers[name].Data.Span[0];
        var layer = quantized.Nodes.Single(node => node.OpType == "Conv").Name;
        var w = System
            .Runtime.InteropServices.MemoryMarshal.Cast<byte, sbyte>(quantized.Initializers[$"{layer}:int8"].Data.Span)
            .ToArray();
        var scales = quantized.Initializers[$"{layer}:weight_scale"].Floats();
        var bias = System
            .Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(
                quantized.Initializers[$"{layer}.bias:int32"].Data.Span
            )
            .ToArray();
        float xScale = Scalar("input:scale"),
            yScale = Scalar("output:scale");
        int xZero = Zero("input:zero_point"),
            yZero = Zero("output:zero_point");
        var x = (DenseTensor<float>)Batch("input", [2, 3, 7, 6], seed: 77).Inputs.Single().Value;
        using var session = new InferenceSession(folder["int8.onnx"]);
        using var results = session.Run([NamedOnnxValue.CreateFromTensor("input", x)]);
        var y = (DenseTensor<float>)results[0].AsTensor<float>();
        for (var n = 0; n < 2; n++)
        {
            for (var c = 0; c < 4; c++)
            {
                for (var oy = 0; oy < 4; oy++)
                {
                    for (var ox = 0; ox < 3; ox++)
                    {
                        long sum = bias[c];
                        for (var i = 0; i < 3; i++)
                        {
                            for (var k = 0; k < 9; k++)
                            {
                                int row = (2 * oy) + (k / 3) - 1,
                                    column = (2 * ox) + (k % 3) - 1;
                                if (row is < 0 or >= 7 || column is < 0 or >= 6)
                                    continue;
                                var q = (int)
                                    Math.Clamp(
                                        Math.Round((double)(x[n, i, row, column] / xScale), MidpointRounding.ToEven)
                                            + xZero,
                                        0,
                                        255
                                    );
                                sum += (q - xZero) * (long)w[(c * 27) + (i * 9) + k];
                            }
                        }

                        var expected = Math.Clamp(
                            Math.Round(sum * ((double)xScale * scales[c] / yScale), MidpointRounding.ToEven) + yZero,
                            0,
                            255
                        );
                        var actual = Math.Round(y[n, c, oy, ox] / yScale) + yZero;
                        // The runtime multiplies by a float32: a number that lies between two levels may go to the
                        // other one.
                        Assert.InRange(
                            Math.Abs(actual - expected),
                            0,
                            Math.Abs((sum * ((double)xScale * scales[c] / yScale) % 1) - 0.5) < 1e-3 ? 1 : 0.001
                        );
                    }
                }
            }
        }
    }

    [Fact]
    public void Depthwise_filters_of_different_ranges_need_a_scale_each()
    {
        using var folder = new TempFolder();
        random.manual_seed(22);
        using var conv = nn.Conv2d(32, 32, 3, padding: 1, groups: 32, bias: false);
        // As folding BatchNorm leaves them: ranges a factor of a hundred apart.
        using (no_grad())
            conv.weight!.mul_(logspace(-2, 0, 32).reshape(32, 1, 1, 1));
        using var example = randn(1, 32, 8, 8);
        OnnxExporter.Export(conv, example, folder["conv.onnx"]);
        var batches = new[] { Batch("input", [8, 32, 8, 8], seed: 1) };
        OnnxQuantizer.Quantize(
            folder["conv.onnx"],
            batches,
            folder["int8.onnx"],
            new QuantizationOptions
            {
                Mode = QuantizationMode.WeightsInt8,
                Budget = new AccuracyBudget { Decibels = 0 },
            }
        );
        // The noise of the quietest channel, against one scale for all.
        var w = conv.weight!.detach();
        var step = w.abs().max().item<float>() / 127;
        using var perTensor = nn.functional.conv2d(
            example,
            (w / step).round() * step,
            padding: [1L, 1L],
            strides: [1L, 1L],
            groups: 32
        );
        using var reference = conv.forward(example);
        using var ours = Run(folder["int8.onnx"], example);
        double Decibels(Tensor y) =>
            10
            * Math.Log10((reference[0, 0].square().mean() / (y[0, 0] - reference[0, 0]).square().mean()).item<float>());
        Assert.True(
            Decibels(ours) > 40 && Decibels(perTensor) < 20,
            $"a scale a channel {Decibels(ours):F1} dB, one scale {Decibels(perTensor):F1} dB"
        );
    }

    [Fact]
    public void Correcting_biases_takes_the_mean_error_away()
    {
        using var folder = new TempFolder();
        random.manual_seed(23);
        using var conv = nn.Conv2d(8, 6, 1);
        // Coarse steps, and inputs with a mean, so that rounding the weights moves the mean of each output.
        using (no_grad())
            conv.weight![.., 0] = tensor(3f);
        using var example = rand(1, 8, 12, 12);
        OnnxExporter.Export(conv, example, folder["conv.onnx"]);
        var batches = Enumerable.Range(0, 4).Select(i => Batch("input", [8, 8, 12, 12], seed: i, shift: 4)).ToArray();
        using var input = tensor(
                ((DenseTensor<float>)Batch("input", [8, 8, 12, 12], seed: 50, shift: 4).Inputs.Single().Value).ToArray()
            )
            .reshape(8, 8, 12, 12);
        double MeanError(bool correct)
        {
            OnnxQuantizer.Quantize(
                folder["conv.onnx"],
                batches,
                folder["int8.onnx"],
                new QuantizationOptions { WeightBits = 7, CorrectBiases = correct }
            );
            using var scope = NewDisposeScope();
            return (Run(folder["int8.onnx"], input) - conv.forward(input)).mean([0, 2, 3]).abs().mean().item<float>();
        }

        double with = MeanError(true),
            without = MeanError(false);
        Assert.True(with < 0.2 * without, $"{with} with, {without} without");
    }

    [Fact]
    public void Equalizing_changes_no_value_and_helps_channels_of_different_ranges()
    {
        using var folder = new TempFolder();
        random.manual_seed(24);
        var first = nn.Conv2d(4, 8, 3, padding: 1);
        var second = nn.Conv2d(8, 8, 3, padding: 1, groups: 8);
        var third = nn.Conv2d(8, 5, 1);
        using (no_grad())
        {
            var ranges = logspace(-2, 1, 8);
            first.weight!.mul_(ranges.reshape(8, 1, 1, 1));
            first.bias!.mul_(ranges);
            second.weight!.div_(ranges.reshape(8, 1, 1, 1));
        }

        using var net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third);
        using var example = randn(2, 4, 9, 9);
        OnnxExporter.Export(net, example, folder["net.onnx"], new ExportOptions { InputNames = ["input"] });
        var model = OnnxReader.Read(folder["net.onnx"]);
        RangeEqualization.Apply(model);
        File.WriteAllBytes(folder["equalized.onnx"], OnnxWriter.ToBytes(model));
        using var expected = net.forward(example);
        using var actual = Run(folder["equalized.onnx"], example);
        Assert.InRange((actual - expected).abs().max().item<float>(), 0, 1e-5f * expected.abs().max().item<float>());

        var batches = new[] { Batch("input", [16, 4, 9, 9], seed: 3) };
        double Decibels(bool equalize) =>
            OnnxQuantizer
                .Quantize(
                    folder["net.onnx"],
                    batches,
                    folder["int8.onnx"],
                    new QuantizationOptions
                    {
                        EqualizeRanges = equalize,
                        FallBack = false,
                        Budget = new AccuracyBudget { Decibels = 0 },
                    }
                )
                .Fidelity.Outputs[0]
                .Decibels;
        double with = Decibels(true),
            without = Decibels(false);
        Assert.True(with > without + 6, $"{with:F1} dB with, {without:F1} dB without");
    }

    [Fact]
    public void The_dearest_layer_is_found_and_falls_back_until_the_budget_holds()
    {
        using var folder = new TempFolder();
        var (model, batches) = WithOutliers(folder);
        var options = new QuantizationOptions
        {
            MeasureSensitivity = true,
            Method = CalibrationMethod.MinMax,
            FallBack = false,
            Budget = new AccuracyBudget { Decibels = 30, Agreement = 0 },
        };
        File.WriteAllText(folder["int8.onnx"], "what was there");
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"], options)
        );
        Assert.Contains("dB; the budget requires 30", error.Message, StringComparison.Ordinal);
        Assert.Equal("what was there", File.ReadAllText(folder["int8.onnx"]));
        Assert.Equal(["int8.onnx", "model.onnx"], folder.Files);

        var report = OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"], options with { FallBack = true });
        Assert.Equal(3, report.Sensitivity.Count);
        // The value with the outliers is the first layer's result and the second's input: both pay for it, the third
        // does not.
        Assert.Equal(["0", "1"], report.Sensitivity.Take(2).Select(layer => layer.Node).Order());
        Assert.Equal(["0", "1"], report.LeftInFloat.Select(layer => layer.Node));
        Assert.All(report.LeftInFloat, layer =>
            Assert.StartsWith("fallback: output 'output' has", layer.Reason, StringComparison.Ordinal)
        );
        Assert.Equal(["2"], report.Quantized);
        Assert.InRange(report.Fidelity.Outputs[0].Decibels, 30, Noise.Exact);
    }

    [Fact]
    public void Layers_stay_in_float_on_request()
    {
        using var folder = new TempFolder();
        var (model, batches) = Export("vgg", folder);
        var layers = OnnxReader
            .Read(model)
            .Nodes.Where(node => node.OpType is "Conv" or "Gemm")
            .Select(node => node.Name)
            .ToArray();
        var report = OnnxQuantizer.Quantize(
            model,
            batches,
            folder["int8.onnx"],
            new QuantizationOptions
            {
                FirstLayerInFloat = true,
                LastLayerInFloat = true,
                NodesInFloat = [layers[2]],
            }
        );
        Assert.Equal([layers[0], layers[2], layers[^1]], report.LeftInFloat.Select(layer => layer.Node));
        Assert.DoesNotContain(layers[2], report.Quantized);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(
                model,
                batches,
                folder["again.onnx"],
                new QuantizationOptions { NodesInFloat = ["conv 7"] }
            )
        );
        Assert.Contains(
            $"no node 'conv 7' to keep in float32; its layers are {layers[0]}",
            error.Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(QuantizationMode.WeightsInt8, 0.40, 30)]
    [InlineData(QuantizationMode.WeightsFloat16, 0.60, 60)]
    public void Weights_are_stored_smaller_and_computed_in_float(QuantizationMode mode, double share, double decibels)
    {
        using var folder = new TempFolder();
        var (model, batches) = Export("vgg", folder);
        var report = OnnxQuantizer.Quantize(
            model,
            batches,
            folder["small.onnx"],
            new QuantizationOptions
            {
                Mode = mode,
                Budget = new AccuracyBudget { Decibels = decibels },
            }
        );
        Assert.InRange(report.QuantizedBytes, 1, share * report.FloatBytes);
        Assert.Equal(new FileInfo(folder["small.onnx"]).Length, report.QuantizedBytes);
        Assert.DoesNotContain(OnnxReader.Read(folder["small.onnx"]).Initializers.Values, tensor =>
            tensor.Type == ElementType.Float16
        );
        // Computed once, when the model is loaded: nothing but the float32 nodes is left.
        Assert.DoesNotContain("Cast", Optimized(folder["small.onnx"], folder["optimized.onnx"]));
        var again = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(folder["small.onnx"], batches, folder["again.onnx"])
        );
        Assert.Contains("is already quantized", again.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Metadata_labels_and_the_free_batch_stay()
    {
        using var folder = new TempFolder();
        random.manual_seed(25);
        using var net = new Vgg();
        net.eval();
        OnnxExporter.Export(
            net,
            randn(1, 3, 32, 32),
            folder["model.onnx"],
            new ExportOptions
            {
                InputNames = ["input"],
                Metadata = new Dictionary<string, string> { ["labels"] = "[\"a\"]", ["mine"] = "1" },
            }
        );
        OnnxQuantizer.Quantize(
            folder["model.onnx"],
            Batches("vgg", 1),
            folder["int8.onnx"],
            new QuantizationOptions
            {
                LateMetadata = report =>
                    [
                        new("mine", "2"),
                        new("rows", report.CalibrationRows.ToString(System.Globalization.CultureInfo.InvariantCulture)),
                    ],
            }
        );
        using var session = new InferenceSession(folder["int8.onnx"]);
        var metadata = session.ModelMetadata.CustomMetadataMap;
        Assert.Equal(("[\"a\"]", "2", "64"), (metadata["labels"], metadata["mine"], metadata["rows"]));
        Assert.StartsWith("Int8 MeanSquareError", metadata[OnnxQuantizer.MetadataKey], StringComparison.Ordinal);
        Assert.Equal(-1, session.InputMetadata["input"].Dimensions[0]);
        foreach (var size in (long[])[1, 7])
            Run(folder["int8.onnx"], randn(size, 3, 32, 32)).Dispose();
    }

    [Fact]
    public void The_same_batches_give_the_same_bytes_and_a_data_file_is_read()
    {
        using var folder = new TempFolder();
        random.manual_seed(26);
        using var net = new Vgg();
        net.eval();
        OnnxExporter.Export(
            net,
            randn(1, 3, 32, 32),
            folder["model.onnx"],
            new ExportOptions { InputNames = ["input"] }
        );
        OnnxExporter.Export(
            net,
            randn(1, 3, 32, 32),
            folder["apart.onnx"],
            new ExportOptions { InputNames = ["input"], ExternalDataThreshold = 0 }
        );
        Assert.Contains(folder.Files, file => file.EndsWith(".data", StringComparison.Ordinal));
        foreach (var (from, to) in ((string, string)[])[("model", "a"), ("model", "b"), ("apart", "c")])
            OnnxQuantizer.Quantize(folder[$"{from}.onnx"], Batches("vgg", 1), folder[$"{to}.onnx"]);
        Assert.Equal(File.ReadAllBytes(folder["a.onnx"]), File.ReadAllBytes(folder["b.onnx"]));
        Assert.Equal(File.ReadAllBytes(folder["a.onnx"]), File.ReadAllBytes(folder["c.onnx"]));
    }

    [Fact]
    public void Wrong_use_is_refused_with_what_to_do()
    {
        using var folder = new TempFolder();
        var (model, batches) = Export("vgg", folder);
        string Refusal(string path, IEnumerable<QuantizationBatch> given, QuantizationOptions? options = null)
        {
            var error = Assert.Throws<QuantizationException>(() =>
                OnnxQuantizer.Quantize(path, given, folder["out.onnx"], options)
            );
            Assert.False(File.Exists(folder["out.onnx"]));
            return error.Message;
        }

        Assert.Contains("no calibration batches", Refusal(model, []), StringComparison.Ordinal);
        Assert.Contains(
            "no held-out batches",
            Refusal(model, batches, new QuantizationOptions { HeldOut = [] }),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "WeightBits is 4; allowed are 7 and 8",
            Refusal(model, batches, new QuantizationOptions { WeightBits = 4 }),
            StringComparison.Ordinal
        );
        var bad = Batch("input", [2, 3, 32, 32], 5);
        ((DenseTensor<float>)bad.Inputs.Single().Value)[1, 2, 3, 4] = float.NaN;
        Assert.Contains(
            "calibration batch 5: the value 'input' contains NaN or infinity",
            Refusal(model, [.. batches, bad]),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the model cannot run a batch",
            Refusal(model, [Batch("input", [2, 5, 32, 32], 5)]),
            StringComparison.Ordinal
        );
        OnnxQuantizer.Quantize(model, batches, folder["int8.onnx"]);
        Assert.Contains("is already quantized", Refusal(folder["int8.onnx"], batches), StringComparison.Ordinal);
        Assert.Contains("cannot be read", Refusal(folder["nothing.onnx"], batches), StringComparison.Ordinal);
        File.WriteAllText(folder["text.onnx"], "this is no model");
        Assert.Contains("is not an ONNX model", Refusal(folder["text.onnx"], batches), StringComparison.Ordinal);
        var old = OnnxReader.Read(model);
        old.Rest!.OpsetImport[0].Version = 10;
        File.WriteAllBytes(folder["old.onnx"], OnnxWriter.ToBytes(old));
        Assert.Contains(
            "has opset 10; supported are 11 and later",
            Refusal(folder["old.onnx"], batches),
            StringComparison.Ordinal
        );
        using var plain = nn.Sequential(nn.ReLU(), nn.Sigmoid());
        OnnxExporter.Export(plain, randn(1, 3), folder["plain.onnx"], new ExportOptions { InputNames = ["input"] });
        Assert.Contains(
            "no layer of the model can be quantized",
            Refusal(folder["plain.onnx"], [Batch("input", [2, 3], 1)]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void What_an_exporter_left_unfolded_is_folded()
    {
        using var folder = new TempFolder();
        random.manual_seed(27);
        using var net = Trained(new Vgg());
        net.eval();
        OnnxExporter.Export(
            net,
            randn(1, 3, 32, 32),
            folder["folded.onnx"],
            new ExportOptions { InputNames = ["input"] }
        );
        OnnxExporter.Export(
            net,
            randn(1, 3, 32, 32),
            folder["unfolded.onnx"],
            new ExportOptions { InputNames = ["input"], FoldBatchNorm = false }
        );
        Assert.Contains("BatchNormalization", Nodes(folder["unfolded.onnx"]));
        var folded = OnnxQuantizer.Quantize(folder["folded.onnx"], Batches("vgg", 1), folder["a.onnx"]);
        var unfolded = OnnxQuantizer.Quantize(folder["unfolded.onnx"], Batches("vgg", 1), folder["b.onnx"]);
        Assert.Empty(unfolded.LeftInFloat);
        Assert.DoesNotContain("BatchNormalization", Nodes(folder["b.onnx"]));
        Assert.InRange(unfolded.Fidelity.Outputs[0].Decibels, folded.Fidelity.Outputs[0].Decibels - 1, Noise.Exact);
    }

    /// <summary>Three layers, with a channel of outliers between the first two: with everything that was seen as its
    /// range, the rest is lost.</summary>
    private static (string Model, QuantizationBatch[] Batches) WithOutliers(TempFolder folder)
    {
        random.manual_seed(28);
        var first = nn.Conv2d(3, 8, 1, bias: false);
        var second = nn.Conv2d(8, 8, 1, bias: false);
        var third = nn.Conv2d(8, 4, 1, bias: false);
        using (no_grad())
        {
            first.weight![0] *= 3000;
            second.weight![.., 0] = 0;
        }

        using var net = nn.Sequential(first, second, third);
        OnnxExporter.Export(net, randn(1, 3, 6, 6), folder["model.onnx"], new ExportOptions { InputNames = ["input"] });
        return (folder["model.onnx"], [Batch("input", [16, 3, 6, 6], 1)]);
    }

    private static (string Model, QuantizationBatch[] Batches) Export(string name, TempFolder folder)
    {
        random.manual_seed(20);
        using var scope = NewDisposeScope();
        using var module = Trained(Make(name));
        module.eval();
        OnnxExporter.Export(
            module,
            name == "lstm" ? randint(0, 50, [2, 9], ScalarType.Int64) : randn(Shape(name, 1)),
            folder["model.onnx"],
            new ExportOptions
            {
                InputNames = ["input"],
                FreeAxes = name is "lstm" or "gru" ? new Dictionary<string, int[]> { ["input"] = [0, 1] } : [],
            }
        );
        return (folder["model.onnx"], Batches(name, seed: 1));
    }

    private static nn.Module Make(string name) =>
        name switch
        {
            "resnet" => ResNet.ResNet18(16),
            "inception" => new Inception(),
            "mobilenet v2" => new MobileNet(v3: false),
            "mobilenet v3" => new MobileNet(v3: true),
            "vgg" => new Vgg(),
            "unet" => new UNet(),
            "grouped transpose" => nn.Sequential(
                nn.Conv2d(3, 8, 3, padding: 1),
                nn.ReLU(),
                nn.ConvTranspose2d(8, 8, 2, stride: 2, groups: 4),
                nn.ReLU(),
                nn.Conv2d(8, 4, 1)
            ),
            "gru" => new GruClassifier(),
            "vision transformer" => new VisionTransformer(),
            "lstm" => new Tagger(),
            _ => nn.Sequential(
                nn.Conv1d(3, 16, 5, padding: 2),
                nn.LeakyReLU(0.1),
                nn.MaxPool1d(2),
                nn.Conv1d(16, 8, 3),
                nn.Flatten(),
                nn.Linear(8 * 14, 20),
                nn.ReLU(),
                nn.Linear(20, 6)
            ),
        };

    private static long[] Shape(string name, long batch) =>
        name switch
        {
            "gru" => [batch, 7, 6],
            "lstm" => [batch, 9],
            "conv1d and linear" => [batch, 3, 32],
            "resnet" => [batch, 3, 64, 64],
            "inception" or "vision transformer" => [batch, 3, 16, 16],
            _ => [batch, 3, 32, 32],
        };

    private static QuantizationBatch[] Batches(string name, int seed) =>
        [
            .. Enumerable
                .Range(0, 4)
                .Select(i =>
                    Batch(
                        "input",
                        [.. Shape(name, 16).Select(size => (int)size)],
                        (1000 * seed) + i,
                        isTokens: name == "lstm"
                    )
                ),
        ];

    private static QuantizationBatch Batch(string input, int[] shape, int seed, bool isTokens = false, float shift = 0)
    {
        var count = shape.Aggregate(1, (product, size) => product * size);
        var random = new Random(seed);
        return new QuantizationBatch([
            isTokens
                ? NamedOnnxValue.CreateFromTensor(
                    input,
                    new DenseTensor<long>(
                        Enumerable.Range(0, count).Select(_ => (long)random.Next(50)).ToArray(),
                        shape
                    )
                )
                : NamedOnnxValue.CreateFromTensor(
                    input,
                    new DenseTensor<float>(
                        ArithmeticTests.Normal(count, seed).Select(value => value + shift).ToArray(),
                        shape
                    )
                ),
        ]);
    }

    /// <summary>Random statistics and affine parameters, as training leaves them.</summary>
    private static nn.Module Trained(nn.Module network)
    {
        random.manual_seed(3);
        using var noGrad = no_grad();
        foreach (var norm in network.modules().OfType<BatchNorm2d>())
        {
            norm.running_mean!.copy_(randn_like(norm.running_mean) * 0.2f);
            norm.running_var!.copy_(rand_like(norm.running_var) + 0.5f);
            norm.weight.copy_(rand_like(norm.weight) + 0.5f);
            norm.bias!.copy_(randn_like(norm.bias) * 0.2f);
        }

        return network;
    }

    private static Tensor Run(string path, Tensor input)
    {
        using var session = new InferenceSession(path);
        var values = new DenseTensor<float>(
            input.contiguous().data<float>().ToArray(),
            [.. input.shape.Select(size => (int)size)]
        );
        using var results = session.Run([NamedOnnxValue.CreateFromTensor(session.InputNames[0], values)]);
        var output = (DenseTensor<float>)results[0].AsTensor<float>();
        return tensor(output.Buffer.ToArray()).reshape([.. output.Dimensions.ToArray().Select(size => (long)size)]);
    }

    private static List<string> Nodes(string path) => [.. OnnxReader.Read(path).Nodes.Select(node => node.OpType)];

    /// <summary>Operators of the graph that the runtime makes of a file.</summary>
    private static List<string> Optimized(string path, string saved)
    {
        using var options = new SessionOptions
        {
            OptimizedModelFilePath = saved,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        using (new InferenceSession(path, options)) { }
        return Nodes(saved);
    }
}
