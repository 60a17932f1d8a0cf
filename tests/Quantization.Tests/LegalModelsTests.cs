using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;
using TorchBridge.Quantization.Execution;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests;

/// <summary>Everything that the format allows is quantized correctly, which is checked in ONNX Runtime with inputs
/// that calibration did not use.</summary>
public class LegalModelsTests
{
    private static readonly Dictionary<string, Func<SmallModel>> Models = new(StringComparer.Ordinal)
    {
        ["an If whose branches read a tensor of the graph"] = () =>
            Convolution()
                .Input("flag", ElementType.Bool, [])
                .Weight("w2", 1, 4, 1, 1)
                .Node(
                    "If",
                    ["flag"],
                    "z",
                    ("then_branch", SmallModel.Branch("then_branch", "Mul", ["y", "w2"], "yes")),
                    ("else_branch", SmallModel.Branch("else_branch", "Add", ["y", "w2"], "no"))
                )
                .Output("z"),
        ["an If that reads a layer's own weight and result"] = () =>
            Convolution()
                .Input("flag", ElementType.Bool, [])
                .Node("ReduceMean", ["w"], "mean", ("axes", new long[] { 0, 1, 2, 3 }), ("keepdims", 0L))
                .Node(
                    "If",
                    ["flag"],
                    "z",
                    ("then_branch", SmallModel.Branch("then_branch", "Mul", ["y", "mean"], "yes")),
                    ("else_branch", SmallModel.Branch("else_branch", "Identity", ["y"], "no"))
                )
                .Output("z"),
        ["a weight in a Constant node"] = () => ThroughNodes(("Constant", [], "w", "value")),
        ["a weight through Identity"] = () =>
            ThroughNodes(("Constant", [], "c", "value"), ("Identity", ["c"], "w", "")),
        ["a weight behind a Cast from float64"] = () =>
            Image()
                .With(model =>
                    model.Graph.Add(
                        Initializer.Of<double>(
                            "d",
                            ElementType.Float64,
                            [.. model.Numbers(4, 3, 3, 3).Select(value => (double)value)],
                            4,
                            3,
                            3,
                            3
                        )
                    )
                )
                .Node("Cast", ["d"], "w", ("to", (long)ElementType.Float32))
                .Node("Conv", ["x", "w"], "y")
                .Output("y"),
        ["a weight that is transposed and a bias that is computed"] = () =>
            Vector()
                .Weight("t", 5, 8)
                .Weight("b", 5)
                .Node("Transpose", ["t"], "w")
                .Node("Neg", ["b"], "c")
                .Node("Gemm", ["x", "w", "c"], "y")
                .Output("y"),
        ["a weight that Split gives, its other half read elsewhere"] = () =>
            Vector()
                .Weight("both", 8, 10)
                .Node("Split", ["both"], ["w", "v"], ("axis", 1L))
                .Node("MatMul", ["x", "w"], "a")
                .Node("MatMul", ["x", "v"], "b")
                .Node("Add", ["a", "b"], "y")
                .Output("y"),
        ["Gemm with a bias of []"] = () => Gemm([]),
        ["Gemm with a bias of [1]"] = () => Gemm([1]),
        ["Gemm with a bias of [1, 1]"] = () => Gemm([1, 1]),
        ["Gemm with a bias of [1, N]"] = () => Gemm([1, 5]),
        ["Gemm with a bias of [M, 1]"] = () => Gemm([4, 1]),
        ["Gemm with a bias of [M, N]"] = () => Gemm([4, 5]),
        ["Gemm with alpha, beta and transB"] = () =>
            Vector()
                .Weight("w", 5, 8)
                .Weight("c", 5)
                .Node("Gemm", ["x", "w", "c"], "y", ("alpha", 0.5f), ("beta", -2f), ("transB", 1L))
                .Output("y"),
        ["nodes without names beside one called Conv_0"] = () => Named("Conv_0", ""),
        ["two layers that share a weight"] = () =>
            Vector()
                .Weight("w", 8, 8)
                .Node("MatMul", ["x", "w"], "a")
                .Node("Relu", ["a"], "r")
                .Node("MatMul", ["r", "w"], "y")
                .Output("y"),
        ["values that are called as ours would be"] = () =>
            Image()
                .Weight("w", 4, 3, 3, 3)
                .Node("Conv", ["x", "w"], "x:dequantized")
                .Node("Relu", ["x:dequantized"], "x:scale")
                .Weight("v", 2, 4, 1, 1)
                .Node("Conv", ["x:scale", "v"], "x:scale:float")
                .Output("x:scale:float"),
        ["a layer whose input is a tensor of the file"] = () =>
            Convolution()
                .Weight("k", 1, 4, 3, 3)
                .Weight("v", 4, 4, 3, 3)
                .Node("Conv", ["k", "v"], "c")
                .Node("Mul", ["y", "c"], "z")
                .Output("z"),
        ["opset 11: Softmax over all axes from the first"] = () =>
            Convolution(11).Node("Softmax", ["y"], "z").Output("z"),
        ["opset 12: Softmax along the last axis"] = () =>
            Convolution(12).Node("Softmax", ["y"], "z", ("axis", -1L)).Output("z"),
        ["opset 12: axes and splits that are attributes"] = () =>
            Convolution(12)
                .Node("ReduceSum", ["y"], "s", ("axes", new long[] { 2 }), ("keepdims", 1L))
                .Node("Squeeze", ["s"], "q", ("axes", new long[] { 2 }))
                .Node("Unsqueeze", ["q"], "u", ("axes", new long[] { 1 }))
                .Node("Split", ["u"], ["left", "right"], ("axis", 2L), ("split", new long[] { 1, 3 }))
                .Output("left")
                .Output("right"),
    };

    public static TheoryData<string> Names => [.. Models.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_is_written_in_integers_and_right(string name)
    {
        using var folder = new TempFolder();
        var model = Models[name]().Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(
            model,
            FoundBatches.Of(model, 4),
            folder["int8.onnx"],
            new QuantizationOptions { FallBack = false }
        );
        Assert.NotEmpty(report.Quantized);
        Assert.InRange(FoundBatches.LeastDecibels(model, folder["int8.onnx"]), 20, 100);
    }

    [Theory]
    [InlineData(QuantizationMode.Int8)]
    [InlineData(QuantizationMode.WeightsInt8)]
    [InlineData(QuantizationMode.WeightsFloat16)]
    public void Tensors_that_are_inputs_too_become_no_inputs_of_the_result(QuantizationMode mode)
    {
        using var folder = new TempFolder();
        var source = new SmallModel(13) { Late = model => model.IrVersion = 3 };
        source.Input("x", 16).Weight("w", 16, 32).Weight("b", 32).Node("Gemm", ["x", "w", "b"], "y").Output("y");
        foreach (var tensor in source.Graph.Initializers.Values.ToArray())
            source.Input(tensor.Name, ElementType.Float32, [.. tensor.Dims.Select(size => (object)size)]);
        var model = source.Save(folder["model.onnx"]);
        var batches = new[] { new QuantizationBatch([FoundBatches.Of(model, 1)[0].Inputs.First()]) };
        OnnxQuantizer.Quantize(model, batches, folder["small.onnx"], new QuantizationOptions { Mode = mode });
        using var session = new InferenceSession(folder["small.onnx"]);
        Assert.Equal(["x"], session.InputMetadata.Keys);
        Assert.Empty(session.OverridableInitializerMetadata);
        Assert.InRange(FoundBatches.LeastDecibels(model, folder["small.onnx"]), 30, 200);
    }

    [Fact]
    public void A_function_of_the_file_is_its_own_whatever_it_is_called()
    {
        using var folder = new TempFolder();
        var source = new SmallModel
        {
            Late = model =>
            {
                var function = new FunctionProto
                {
                    Name = "Conv",
                    Domain = "mine",
                    Input = { "a", "b" },
                    Output = { "c" },
                };
                function.Node.Add(
                    new NodeProto
                    {
                        OpType = "Mul",
                        Input = { "a", "b" },
                        Output = { "c" },
                    }
                );
                function.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
                model.Functions.Add(function);
                model.OpsetImport.Add(new OperatorSetIdProto { Domain = "mine", Version = 1 });
                model.Graph.Node[0].Domain = "mine";
            },
        };
        source
            .Input("x", 8)
            .Weight("f", 8)
            .Node("Conv", ["x", "f"], "m")
            .Weight("w", 8, 4)
            .Node("MatMul", ["m", "w"], "y")
            .Output("y");
        var model = source.Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 4), folder["int8.onnx"]);
        Assert.Equal(["MatMul:y"], report.Quantized);
        Assert.InRange(FoundBatches.LeastDecibels(model, folder["int8.onnx"]), 30, 100);
    }

    [Fact]
    public void Of_a_tensor_that_stands_twice_the_later_one_counts_as_for_the_runtime()
    {
        using var folder = new TempFolder();
        var source = new SmallModel
        {
            Late = model =>
                model.Graph.Initializer.Insert(
                    0,
                    new TensorProto(model.Graph.Initializer[0])
                    {
                        RawData = Google.Protobuf.ByteString.CopyFrom(new byte[4 * 4 * 4]),
                    }
                ),
        };
        source.Input("x", 4).Weight("w", 4, 4).Node("MatMul", ["x", "w"], "y").Output("y");
        var model = source.Save(folder["model.onnx"]);
        OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 4), folder["int8.onnx"]);
        Assert.InRange(FoundBatches.LeastDecibels(model, folder["int8.onnx"]), 30, 100);
    }

    [Fact]
    public void Equalizing_leaves_what_a_subgraph_reads()
    {
        using var folder = new TempFolder();
        var model = Convolution()
            .Input("flag", ElementType.Bool, [])
            .Node("Relu", ["y"], "r")
            .Weight("v", 4, 4, 1, 1)
            .Node("Conv", ["r", "v"], "u")
            .Node(
                "If",
                ["flag"],
                "z",
                ("then_branch", SmallModel.Branch("then_branch", "Add", ["u", "y"], "yes")),
                ("else_branch", SmallModel.Branch("else_branch", "Identity", ["y"], "no"))
            )
            .Output("z")
            .Save(folder["model.onnx"]);
        var graph = TorchBridge.Onnx.Format.OnnxReader.Read(model);
        RangeEqualization.Apply(graph);
        File.WriteAllBytes(folder["equalized.onnx"], TorchBridge.Onnx.Format.OnnxWriter.ToBytes(graph));
        Assert.Equal(200, FoundBatches.LeastDecibels(model, folder["equalized.onnx"]));
    }

    [Fact]
    public void Biases_are_corrected_by_the_means_along_the_axis_that_a_layer_reads()
    {
        using var folder = new TempFolder();
        // A matrix product reads the last axis of a value, a convolution axis 1 of the same: means of one are no
        // means for the other.
        var model = new SmallModel()
            .Input("x", 6, 20)
            .Weight("w", 20, 5)
            .Node("MatMul", ["x", "w"], "a")
            .Weight("v", 4, 6, 3)
            .Node("Conv", ["x", "v"], "y")
            .Output("a")
            .Output("y")
            .Save(folder["model.onnx"]);
        QuantizationBatch[] batches = [.. FoundBatches.Of(model, 4)];
        foreach (
            var tensor in batches.Select(batch =>
                (Microsoft.ML.OnnxRuntime.Tensors.DenseTensor<float>)batch.Inputs.Single().Value
            )
        )
        {
            for (var i = 0; i < tensor.Length; i++)
                tensor.SetValue(i, tensor.GetValue(i) + (4 * ((i / 20 % 6) + 1)));
        }

        double Decibels(bool correct) =>
            OnnxQuantizer
                .Quantize(
                    model,
                    batches,
                    folder["int8.onnx"],
                    new QuantizationOptions { WeightBits = 7, CorrectBiases = correct }
                )
                .Fidelity.Outputs[1]
                .Decibels;
        Assert.True(
            Decibels(true) > Decibels(false) + 1,
            $"{Decibels(true):F1} dB corrected, {Decibels(false):F1} dB not"
        );
    }

    [Fact]
    public void A_model_that_is_too_large_for_one_message_runs_from_files()
    {
        using var folder = new TempFolder();
        var model = Convolution().Output("y").Save(folder["model.onnx"]);
        var graph = TorchBridge.Onnx.Format.OnnxReader.Read(model);
        var batch = FoundBatches.Of(model, 1)[0];
        using ModelRunner inMemory = new(graph),
            fromFiles = new(graph, largestInMemory: 0);
        using BatchResult expected = inMemory.Run(batch),
            actual = fromFiles.Run(batch);
        Assert.Equal(expected.Floats().Single().Tensor.ToArray(), actual.Floats().Single().Tensor.ToArray());
    }

    [Theory]
    [InlineData(10, "onnx.version_converter.convert_version(model, 13)")]
    [InlineData(9, "has opset 9")]
    public void Older_operator_sets_are_refused_with_how_to_convert(int opset, string expected)
    {
        using var folder = new TempFolder();
        var model = Convolution(opset).Output("y").Save(folder["model.onnx"]);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(model, FoundBatches.Of(model, 1), folder["int8.onnx"])
        );
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    private static SmallModel Image(int opset = 17) => new SmallModel(opset).Input("x", 3, 5, 6);

    private static SmallModel Vector() => new SmallModel().Input("x", 8);

    private static SmallModel Convolution(int opset = 17) =>
        Image(opset).Weight("w", 4, 3, 3, 3).Weight("b", 4).Node("Conv", ["x", "w", "b"], "y");

    private static SmallModel Gemm(long[] bias) =>
        Vector().Weight("w", 8, 5).Weight("c", bias).Node("Gemm", ["x", "w", "c"], "y").Output("y");

    private static SmallModel ThroughNodes(
        params (string Type, string[] Inputs, string Output, string Attribute)[] nodes
    )
    {
        var model = Image();
        foreach (var (type, inputs, output, attribute) in nodes)
        {
            model.Node(
                type,
                inputs,
                output,
                attribute.Length == 0 ? [] : [(attribute, Initializer.Of("", model.Numbers(4, 3, 3, 3), 4, 3, 3, 3))]
            );
        }

        return model.Node("Conv", ["x", "w"], "y").Output("y");
    }

    private static SmallModel Named(string first, string second)
    {
        var model = new SmallModel
        {
            Late = proto =>
            {
                proto.Graph.Node[0].Name = first;
                proto.Graph.Node[1].Name = second;
            },
        };
        return model
            .Input("x", 3, 5, 6)
            .Weight("w", 4, 3, 3, 3)
            .Node("Conv", ["x", "w"], "a")
            .Weight("v", 2, 4, 1, 1)
            .Node("Conv", ["a", "v"], "y")
            .Output("y");
    }
}
