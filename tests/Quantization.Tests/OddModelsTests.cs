using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Quantization.Tests;

/// <summary>
/// Unusual but legal models, in every mode. Results are correct, which is checked in ONNX Runtime with inputs that
/// calibration did not use; refusals have the reasons that are listed here.
/// </summary>
public class OddModelsTests
{
    /// <summary>8 bits are held to some 4 bits at the output of the worst of these networks, float16 to its own 11
    /// bits less what a layer adds up.</summary>
    private const double LeastInt8 = 20,
        LeastFloat16 = 50;

    private static readonly Dictionary<string, Func<SmallModel>> Written = new(StringComparer.Ordinal)
    {
        ["an If in an If, which read a layer's weight and its result"] = () =>
            Convolution()
                .Input("flag", ElementType.Bool, [])
                .Node("ReduceMean", ["w"], "mean", ("keepdims", 0L))
                .Node(
                    "If",
                    ["flag"],
                    "z",
                    ("then_branch", Nested("flag", SmallModel.Branch("then_branch", "Mul", ["y", "mean"], "inner"))),
                    ("else_branch", SmallModel.Branch("else_branch", "Relu", ["y"], "no"))
                )
                .Output("z"),
        ["an If whose branch is called as a value and a node of the graph"] = () =>
            Convolution()
                .Input("flag", ElementType.Bool, [])
                .Node("Relu", ["y"], "r")
                .Node(
                    "If",
                    ["flag"],
                    "z",
                    ("then_branch", SmallModel.Branch("then_branch", "Neg", ["r"], "y:float")),
                    ("else_branch", SmallModel.Branch("else_branch", "Identity", ["r"], "y:scale"))
                )
                .Output("z"),
        ["a Loop whose body reads a weight of a layer"] = () =>
            Vector()
                .Weight("w", 16, 16)
                .Node("MatMul", ["x", "w"], "y")
                .With(model => model.Graph.Add(Initializer.Of<long>("trips", ElementType.Int64, [3L])))
                .Node("Loop", ["trips", "", "y"], "z", ("body", LoopBody("MatMul", "w")))
                .Output("z"),
        ["a Scan whose body reads a tensor of the graph"] = () =>
            Vector()
                .Weight("w", 16, 20)
                .Weight("add", 20)
                .Node("MatMul", ["x", "w"], "y")
                .Node("Scan", ["y"], "z", ("num_scan_inputs", 1L), ("body", ScanBody("add")))
                .Output("z"),
        ["IR 3 and opset 11: weights, bias and a clip's ends are inputs"] = () =>
            AllInputs(
                new SmallModel(11) { Late = model => model.IrVersion = 3 }
                    .Input("x", 3, 7, 6)
                    .Weight("w", 12, 3, 3, 3)
                    .Weight("b", 12)
                    .Node("Conv", ["x", "w", "b"], "c")
                    .With(model => model.Graph.Add(Initializer.Of("low", [0f])))
                    .With(model => model.Graph.Add(Initializer.Of("high", [6f])))
                    .Node("Clip", ["c", "low", "high"], "r")
                    .Weight("v", 4, 12, 1, 1)
                    .Node("Conv", ["r", "v"], "y")
                    .Output("y")
            ),
        ["IR 3: a tensor that is input, weight and summand"] = () =>
            AllInputs(
                new SmallModel(13) { Late = model => model.IrVersion = 3 }
                    .Input("x", ElementType.Float32, [16L, 16L])
                    .Weight("w", 16, 16)
                    .Node("MatMul", ["x", "w"], "m")
                    .Node("Add", ["m", "w"], "y")
                    .Output("y")
            ),
        ["a weight of value_floats that is reshaped"] = () =>
            Vector()
                .With(model => model.Graph.Add(Initializer.Of<long>("shape", ElementType.Int64, [16, -1], 2)))
                .With(model => model.Node("Constant", [], "flat", ("value_floats", model.Numbers(320))))
                .Node("Reshape", ["flat", "shape"], "w")
                .Node("MatMul", ["x", "w"], "y")
                .Output("y"),
        ["a weight behind two Identities that is read by two layers"] = () =>
            Vector()
                .Weight("t", 16, 16)
                .Node("Identity", ["t"], "i")
                .Node("Identity", ["i"], "w")
                .Node("MatMul", ["x", "w"], "a")
                .Node("Tanh", ["a"], "r")
                .Node("Gemm", ["r", "i"], "y")
                .Output("y"),
        ["weight and bias that stand in float16 behind a Cast"] = () =>
            Vector()
                .With(model => Halves(model, "wh", 16, 20))
                .With(model => Halves(model, "bh", 20))
                .Node("Cast", ["wh"], "w", ("to", 1L))
                .Node("Cast", ["bh"], "b", ("to", 1L))
                .Node("Gemm", ["x", "w", "b"], "y")
                .Output("y"),
        ["a weight that stands in int8 with a scale of its own"] = () =>
            Vector()
                .With(model =>
                    model.Graph.Add(
                        Initializer.Of<sbyte>(
                            "q",
                            ElementType.Int8,
                            Array.ConvertAll(model.Numbers(16, 20), value =>
                                (sbyte)Math.Clamp(Math.Round(value * 100), -127, 127)
                            ),
                            16,
                            20
                        )
                    )
                )
                .With(model => model.Graph.Add(Initializer.Of("scale", [0.01f])))
                .Node("Cast", ["q"], "f", ("to", 1L))
                .Node("Mul", ["f", "scale"], "w")
                .Node("MatMul", ["x", "w"], "y")
                .Output("y"),
        ["a bias in a Constant node, a weight through Transpose"] = () =>
            Vector()
                .Weight("t", 20, 16)
                .Node("Transpose", ["t"], "w", ("perm", new long[] { 1, 0 }))
                .With(model => model.Node("Constant", [], "b", ("value", Initializer.Of("", model.Numbers(20), 20))))
                .Node("Gemm", ["x", "w", "b"], "y")
                .Output("y"),
        ["Gemm whose bias is computed from an input"] = () =>
            Vector()
                .Input("c", 20)
                .Weight("w", 16, 20)
                .Node("Sigmoid", ["c"], "s")
                .Node("Gemm", ["x", "w", "s"], "y", ("alpha", 2f))
                .Output("y"),
        ["Gemm with beta 0 and a bias of ten thousands"] = () =>
            Vector()
                .Weight("w", 16, 20)
                .With(model => model.Graph.Add(Initializer.Of("c", [.. Enumerable.Repeat(1e4f, 20)], 20)))
                .Node("Gemm", ["x", "w", "c"], "y", ("beta", 0f))
                .Output("y"),
        ["Gemm with a bias of one number for a column"] = () => Gemm([20], ("transB", 1L)),
        ["Gemm with a bias of []"] = () => Gemm([], ("beta", 3f)),
        ["Gemm with a bias of [1, N], alpha and beta"] = () => Gemm([1, 20], ("alpha", -0.5f), ("beta", 2f)),
        ["Gemm with a bias of [M, N]"] = () => Gemm([4, 20]),
        ["Gemm with an empty name for its bias"] = () =>
            Vector().Weight("w", 16, 20).Node("Gemm", ["x", "w", ""], "y").Output("y"),
        ["a function of the file that is called Gemm and holds a Conv"] = () =>
            new SmallModel { Late = model => Function(model, "Gemm", "Conv", ["a", "b"]) }
                .Input("x", 3, 7, 6)
                .Weight("k", 3, 3, 1, 1)
                .Node("Gemm", ["x", "k"], "m")
                .Weight("w", 12, 3, 3, 3)
                .Node("Conv", ["m", "w"], "y")
                .Output("y"),
        ["nodes without any name, domains spelled out"] = () =>
            new SmallModel
            {
                Late = model =>
                {
                    foreach (var node in model.Graph.Node)
                        (node.Name, node.Domain) = ("", "ai.onnx");
                    model.OpsetImport[0].Domain = "ai.onnx";
                },
            }
                .Input("x", 3, 7, 6)
                .Weight("w", 12, 3, 3, 3)
                .Node("Conv", ["x", "w"], "a")
                .Node("Relu", ["a"], "r")
                .Weight("v", 4, 12, 1, 1)
                .Node("Conv", ["r", "v"], "y")
                .Output("y"),
        ["Constant nodes that are called as a layer"] = () =>
            new SmallModel
            {
                Late = model =>
                {
                    foreach (var node in model.Graph.Node)
                        node.Name = node.OpType == "Relu" ? "relu" : "anon";
                },
            }
                .Input("x", 16)
                .With(model =>
                    model.Node("Constant", [], "w", ("value", Initializer.Of("", model.Numbers(16, 20), 16, 20)))
                )
                .With(model => model.Node("Constant", [], "b", ("value", Initializer.Of("", model.Numbers(20), 20))))
                .Node("Gemm", ["x", "w", "b"], "g")
                .Node("Relu", ["g"], "y")
                .Output("y"),
        ["a node that is called as a value, and one as a tensor"] = () =>
            new SmallModel { Late = model => (model.Graph.Node[0].Name, model.Graph.Node[1].Name) = ("w", "a") }
                .Input("x", 16)
                .Weight("w", 16, 20)
                .Node("MatMul", ["x", "w"], "a")
                .Node("Relu", ["a"], "y")
                .Output("y"),
        ["names with blanks, slashes, colons and letters beyond ASCII"] = () =>
            new SmallModel()
                .Input("größe/ x:0", 16)
                .Weight("重み", 16, 20)
                .Node("MatMul", ["größe/ x:0", "重み"], "a b/c:0")
                .Node("Relu", ["a b/c:0"], "結果")
                .Output("結果"),
        ["one value along three axes"] = () =>
            new SmallModel()
                .Input("x", 6, 20)
                .Weight("w", 20, 14)
                .Node("MatMul", ["x", "w"], "a")
                .Weight("v", 12, 6, 5)
                .Node("Conv", ["x", "v"], "b")
                .Node("Flatten", ["x"], "f")
                .Weight("u", 120, 5)
                .Node("Gemm", ["f", "u"], "c")
                .Output("a")
                .Output("b")
                .Output("c"),
        ["two tensors of the same content"] = () =>
            Vector()
                .Weight("w", 16, 20)
                .With(model => model.Graph.Add(Initializer.Of("w2", model.Graph.Initializers["w"].Floats(), 16, 20)))
                .Node("MatMul", ["x", "w"], "a")
                .Node("MatMul", ["x", "w2"], "b")
                .Node("Sub", ["a", "b"], "zero")
                .Node("Concat", ["a", "zero"], "y", ("axis", -1L))
                .Output("y"),
        ["opset 11: Pad, Clip, Resize with an empty tensor for its roi"] = () =>
            Convolution(11)
                .With(model =>
                    model.Graph.Add(Initializer.Of<long>("pads", ElementType.Int64, [0, 0, 1, 1, 0, 0, 1, 1], 8))
                )
                .Node("Pad", ["y", "pads"], "p", ("mode", "reflect"))
                .With(model => model.Graph.Add(Initializer.Of("roi", [], 0)))
                .With(model => model.Graph.Add(Initializer.Of("scales", [1f, 1, 2, 2], 4)))
                .Node("Resize", ["p", "roi", "scales"], "z", ("mode", "linear"))
                .Output("z"),
        ["opset 11: Split into equal parts, Squeeze of all axes of 1, a Dropout with a ratio"] = () =>
            Convolution(11)
                .Node("Dropout", ["y"], ["d", "mask"], ("ratio", 0.4f))
                .Node("Split", ["d"], ["left", "right"], ("axis", 1L))
                .Node("ReduceMean", ["left"], "m", ("axes", new long[] { 2, 3 }))
                .Node("Squeeze", ["m"], "s")
                .Output("s")
                .Output("right"),
        ["opset 12: LogSoftmax in the middle of four axes, Hardmax, ReduceSum of all"] = () =>
            Convolution(12)
                .Node("LogSoftmax", ["y"], "l", ("axis", 2L))
                .Node("ReduceSum", ["y"], "sum", ("keepdims", 0L))
                .Output("l")
                .Output("sum"),
        ["outputs of float16, float64, and of values between"] = () =>
            Convolution()
                .Node("Cast", ["y"], "half", ("to", (long)ElementType.Float16))
                .Node("Cast", ["y"], "double", ("to", (long)ElementType.Float64))
                .Node("Relu", ["y"], "r")
                .Output("half", ElementType.Float16)
                .Output("double", ElementType.Float64)
                .Output("y")
                .Output("r"),
        ["outputs of booleans and integers of 8 and 64 bits beside a float"] = () =>
            Convolution()
                .With(model => model.Graph.Add(Initializer.Of("far", [-100f])))
                .Node("Greater", ["y", "far"], "bool")
                .Node("Shape", ["y"], "shape")
                .Node("Cast", ["bool"], "byte", ("to", (long)ElementType.UInt8))
                .Output("bool", ElementType.Bool)
                .Output("shape", ElementType.Int64)
                .Output("byte", ElementType.UInt8)
                .Output("y"),
        ["an output that is an input, and one that is a tensor of the file"] = () =>
            Convolution().Output("y").Output("x").Output("b"),
        ["an output that is a sequence"] = () =>
            Sequence(Convolution().Node("Relu", ["y"], "r").Node("SequenceConstruct", ["y", "r"], "s"), "s"),
        ["a sequence inside"] = () =>
            Convolution()
                .Node("SplitToSequence", ["y"], "s", ("axis", 1L))
                .Node("ConcatFromSequence", ["s"], "z", ("axis", 1L))
                .Output("z"),
        ["two inputs of two shapes, a third that nobody reads"] = () =>
            Vector()
                .Input("v", 9)
                .Input("unread", 2, 2)
                .Weight("w", 16, 20)
                .Weight("u", 9, 20)
                .Node("MatMul", ["x", "w"], "a")
                .Node("MatMul", ["v", "u"], "b")
                .Node("Mul", ["a", "b"], "y")
                .Output("y"),
        ["every axis free"] = () =>
            new SmallModel()
                .Input("x", ElementType.Float32, ["n", "c", "h", "w"])
                .Weight("w", 12, 16, 3, 3)
                .Node("Conv", ["x", "w"], "c")
                .Node("GlobalAveragePool", ["c"], "g")
                .Node("Flatten", ["g"], "f")
                .Weight("v", 12, 5)
                .Node("MatMul", ["f", "v"], "y")
                .Output("y"),
        ["tensors without an element, read and unread"] = () =>
            Vector()
                .Weight("w", 16, 20)
                .Node("MatMul", ["x", "w"], "m")
                .With(model => model.Graph.Add(Initializer.Of("none", [], 0, 20)))
                .With(model => model.Graph.Add(Initializer.Of("unread", [], 0)))
                .Node("Concat", ["m", "none"], "y", ("axis", 0L))
                .Output("y"),
        ["a Conv with no pads, strides, groups and dilations said, and one with all"] = () =>
            Convolution()
                .Weight("v", 24, 6, 3, 3)
                .Node(
                    "Conv",
                    ["y", "v"],
                    "z",
                    ("group", 2L),
                    ("dilations", new long[] { 2, 1 }),
                    ("strides", new long[] { 1, 2 }),
                    ("pads", new long[] { 2, 0, 1, 3 })
                )
                .Output("z"),
        ["a MaxPool with indices and a BatchNormalization before any layer"] = () =>
            new SmallModel()
                .Input("x", 3, 7, 6)
                .Weight("gamma", 3)
                .Weight("beta", 3)
                .Weight("mean", 3)
                .With(model => model.Graph.Add(Initializer.Of("variance", [0.5f, 1, 2], 3)))
                .Node("BatchNormalization", ["x", "gamma", "beta", "mean", "variance"], "n")
                .Weight("w", 12, 3, 3, 3)
                .Node("Conv", ["n", "w"], "c")
                .Node("MaxPool", ["c"], ["p", "indices"], ("kernel_shape", new long[] { 2, 2 }))
                .Output("p"),
        ["an LSTM whose weights stand in Constant nodes, then a MatMul"] = () =>
            new SmallModel()
                .Input("x", ElementType.Float32, [5L, "batch", 16L])
                .With(model =>
                {
                    foreach (var (name, dims) in new[] { ("w", new long[] { 1, 32, 16 }), ("r", [1, 32, 8]) })
                        model.Node("Constant", [], name, ("value", Initializer.Of("", model.Numbers(dims), dims)));
                })
                .Node("LSTM", ["x", "w", "r"], ["h"], ("hidden_size", 8L))
                .With(model => model.Graph.Add(Initializer.Of<long>("axes", ElementType.Int64, [1], 1)))
                .Node("Squeeze", ["h", "axes"], "s")
                .Weight("v", 8, 40)
                .Node("MatMul", ["s", "v"], "y")
                .Output("y"),
        ["an embedding whose table is the last layer's weight, transposed"] = () =>
            new SmallModel()
                .Input("ids", ElementType.Int64, ["batch", 5L])
                .Weight("table", 24, 16)
                .Node("Gather", ["table", "ids"], "e")
                .Weight("w", 16, 16)
                .Node("MatMul", ["e", "w"], "h")
                .Node("Transpose", ["table"], "t")
                .Node("MatMul", ["h", "t"], "y")
                .Output("y"),
        ["operators of ONNX Runtime's own domain"] = () =>
            new SmallModel
            {
                Late = model =>
                {
                    model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
                    model.Graph.Node[1].Domain = "com.microsoft";
                },
            }
                .Input("x", 16)
                .Weight("w", 16, 20)
                .Node("MatMul", ["x", "w"], "m")
                .Node("Gelu", ["m"], "g")
                .Weight("v", 20, 20)
                .Node("MatMul", ["g", "v"], "y")
                .Output("y"),
        ["a channel of zeros, and a weight that is a single number"] = () =>
            Vector()
                .Weight("w", 16, 20)
                .With(model => model.Graph.Initializers["w"] = Without(model.Graph.Initializers["w"], column: 3))
                .Node("MatMul", ["x", "w"], "m")
                .With(model => model.Graph.Add(Initializer.Of("one", [0.7f], 1, 1)))
                .With(model => model.Graph.Add(Initializer.Of<long>("ends", ElementType.Int64, [1], 1)))
                .With(model => model.Graph.Add(Initializer.Of<long>("starts", ElementType.Int64, [0], 1)))
                .With(model => model.Graph.Add(Initializer.Of<long>("last", ElementType.Int64, [1], 1)))
                .Node("Slice", ["m", "starts", "ends", "last"], "first")
                .Node("MatMul", ["first", "one"], "y")
                .Output("m")
                .Output("y"),
    };

    /// <summary>What is refused, in which mode, and a part of the reason.</summary>
    private static readonly Dictionary<string, (Func<SmallModel> Make, string Int8, string Weights)> Refused = new(
        StringComparer.Ordinal
    )
    {
        ["Q and DQ inside already"] = (
            () =>
                Vector()
                    .With(model => model.Graph.Add(Initializer.Of("scale", [0.01f])))
                    .With(model => model.Graph.Add(Initializer.Of<sbyte>("zero", ElementType.Int8, [0])))
                    .Node("QuantizeLinear", ["x", "scale", "zero"], "q")
                    .Node("DequantizeLinear", ["q", "scale", "zero"], "d")
                    .Weight("w", 16, 20)
                    .Node("MatMul", ["d", "w"], "y")
                    .Output("y"),
            "is already quantized",
            "is already quantized"
        ),
        ["a weight with a NaN"] = (
            () =>
                Vector()
                    .With(model =>
                    {
                        var numbers = model.Numbers(16, 20);
                        numbers[7] = float.NaN;
                        model.Graph.Add(Initializer.Of("w", numbers, 16, 20));
                    })
                    .Node("MatMul", ["x", "w"], "y")
                    .Output("y"),
            "its weight or bias contains NaN or infinity",
            "finite"
        ),
        ["everything in float16"] = (
            () =>
                new SmallModel()
                    .Input("x", ElementType.Float16, ["batch", 16L])
                    .With(model => Halves(model, "w", 16, 20))
                    .Node("MatMul", ["x", "w"], "y")
                    .Output("y", ElementType.Float16),
            "its weight is Float16, not float32",
            "outside of subgraphs and functions there is no finite float32 weight"
        ),
        ["opset 12 with a Squeeze in a branch"] = (
            () =>
                Convolution(12)
                    .Input("flag", ElementType.Bool, [])
                    .Node(
                        "If",
                        ["flag"],
                        "z",
                        ("then_branch", SmallModel.Branch("then_branch", "Squeeze", ["y"], "yes")),
                        ("else_branch", SmallModel.Branch("else_branch", "Identity", ["y"], "no"))
                    )
                    .Output("z"),
            "in a subgraph or function has other semantics in opset 13",
            "in a subgraph or function has other semantics in opset 13"
        ),
        ["layers in the branches of an If alone"] = (
            () =>
                Vector()
                    .Input("flag", ElementType.Bool, [])
                    .Weight("w", 16, 8)
                    .Node(
                        "If",
                        ["flag"],
                        "y",
                        ("then_branch", SmallModel.Branch("then_branch", "MatMul", ["x", "w"], "yes")),
                        ("else_branch", SmallModel.Branch("else_branch", "Identity", ["x"], "no"))
                    )
                    .Output("y"),
            "If:y/then_branch/MatMul (MatMul): it is in a subgraph of If, and subgraphs are not quantized",
            "no weight of the model can be compressed"
        ),
        ["a layer in a function alone"] = (
            () =>
                new SmallModel { Late = model => Function(model, "Conv", "Conv", ["a", "b"]) }
                    .Input("x", 3, 7, 6)
                    .Weight("k", 3, 3, 1, 1)
                    .Node("Conv", ["x", "k"], "y")
                    .Output("y"),
            "Conv/result (Conv): it is in a model-local function, and functions are not quantized",
            "no weight of the model can be compressed"
        ),
        ["no layer at all"] = (
            () => Vector().Node("Relu", ["x"], "y").Output("y"),
            "it has none",
            "no weight of the model can be compressed"
        ),
    };

    public static MatrixTheoryData<string, QuantizationMode, bool> WrittenCases =>
        new(Written.Keys, Enum.GetValues<QuantizationMode>(), [false, true]);

    public static MatrixTheoryData<string, QuantizationMode> RefusedCases =>
        new(Refused.Keys, Enum.GetValues<QuantizationMode>());

    [Theory]
    [MemberData(nameof(WrittenCases))]
    public void Each_is_written_and_right(string name, QuantizationMode mode, bool equalize)
    {
        using var folder = new TempFolder();
        var model = Written[name]().Save(folder["model.onnx"]);
        var report = OnnxQuantizer.Quantize(
            model,
            FoundBatches.Of(model, 8),
            folder["small.onnx"],
            new QuantizationOptions
            {
                Mode = mode,
                EqualizeRanges = equalize,
                FallBack = false,
            }
        );
        Assert.NotEmpty(report.Quantized);
        Assert.InRange(
            FoundBatches.LeastDecibels(model, folder["small.onnx"]),
            mode == QuantizationMode.WeightsFloat16 ? LeastFloat16 : LeastInt8,
            200
        );
    }

    [Theory]
    [MemberData(nameof(RefusedCases))]
    public void Each_is_refused_with_its_reason(string name, QuantizationMode mode)
    {
        using var folder = new TempFolder();
        var (make, int8, weights) = Refused[name];
        var model = make().Save(folder["model.onnx"]);
        var error = Assert.Throws<QuantizationException>(() =>
            OnnxQuantizer.Quantize(
                model,
                FoundBatches.Of(model, 4),
                folder["small.onnx"],
                new QuantizationOptions { Mode = mode }
            )
        );
        Assert.Contains(mode == QuantizationMode.Int8 ? int8 : weights, error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["small.onnx"]));
    }

    [Theory]
    [InlineData(QuantizationMode.Int8)]
    [InlineData(QuantizationMode.WeightsInt8)]
    [InlineData(QuantizationMode.WeightsFloat16)]
    public void Tensors_in_files_beside_the_model_are_read_in_every_mode(QuantizationMode mode)
    {
        using var folder = new TempFolder();
        var whole = Convolution().Output("y").Save(folder["whole.onnx"]);
        var data = new List<byte>();
        var model = new SmallModel { Late = proto => MoveOut(proto, data, "model.data") }
            .Input("x", 3, 7, 6)
            .Weight("w", 12, 3, 3, 3)
            .Weight("b", 12)
            .Node("Conv", ["x", "w", "b"], "y")
            .Output("y")
            .Save(folder["model.onnx"]);
        File.WriteAllBytes(folder["model.data"], [.. data]);
        OnnxQuantizer.Quantize(
            model,
            FoundBatches.Of(whole, 4),
            folder["small.onnx"],
            new QuantizationOptions { Mode = mode }
        );
        File.Delete(folder["model.data"]);
        Assert.InRange(FoundBatches.LeastDecibels(whole, folder["small.onnx"]), 20, 200);
    }

    private static SmallModel Vector() => new SmallModel().Input("x", 16);

    private static SmallModel Convolution(int opset = 17) =>
        new SmallModel(opset)
            .Input("x", 3, 7, 6)
            .Weight("w", 12, 3, 3, 3)
            .Weight("b", 12)
            .Node("Conv", ["x", "w", "b"], "y");

    private static SmallModel Gemm(long[] bias, params (string Name, object Value)[] attributes)
    {
        var isTransposed = attributes.Any(attribute => attribute.Name == "transB");
        return Vector()
            .Weight("w", isTransposed ? [20, 16] : [16, 20])
            .Weight("c", bias)
            .Node("Gemm", ["x", "w", "c"], "y", attributes)
            .Output("y");
    }

    /// <summary>Lists every tensor among the inputs, as files of IR version 3 do.</summary>
    private static SmallModel AllInputs(SmallModel model)
    {
        foreach (var tensor in model.Graph.Initializers.Values.ToArray())
            model.Input(tensor.Name, tensor.Type, [.. tensor.Dims.Select(size => (object)size)]);
        return model;
    }

    private static void Halves(SmallModel model, string name, params long[] dims) =>
        model.Graph.Add(
            Initializer.Of<Half>(
                name,
                ElementType.Float16,
                Array.ConvertAll(model.Numbers(dims), value => (Half)value),
                dims
            )
        );

    private static Initializer Without(Initializer matrix, int column)
    {
        var numbers = matrix.Floats();
        for (var i = column; i < numbers.Length; i += (int)matrix.Dims[1])
            numbers[i] = 0;
        return Initializer.Of(matrix.Name, numbers, matrix.Dims);
    }

    private static SmallModel Sequence(SmallModel model, string name)
    {
        // sequence_type { elem_type { tensor_type { elem_type: FLOAT } } }, of which our copy of the format knows
        // nothing
        var type = TypeProto.Parser.ParseFrom([0x22, 6, 0x0A, 4, 0x0A, 2, 8, (byte)ElementType.Float32]);
        model.Graph.Outputs.Add(
            new ValueInfo(name, ElementType.Float32, [])
            {
                Stored = new ValueInfoProto { Name = name, Type = type },
            }
        );
        return model;
    }

    /// <summary>A branch that holds an If of its own, with the same result on both sides.</summary>
    private static AttributeProto Nested(string condition, AttributeProto branch)
    {
        var other = branch.Clone();
        other.Name = "else_branch";
        var nested = SmallModel.Branch("then_branch", "If", [condition], "outer");
        nested.G.Node[0].Attribute.AddRange([branch, other]);
        return nested;
    }

    private static AttributeProto LoopBody(string type, string tensor)
    {
        var body = SmallModel.Branch("body", type, ["state", tensor], "product");
        body.G.Node.Add(
            new NodeProto
            {
                OpType = "Tanh",
                Input = { "product" },
                Output = { "next" },
            }
        );
        body.G.Node.Add(
            new NodeProto
            {
                OpType = "Identity",
                Input = { "go" },
                Output = { "on" },
            }
        );
        body.G.Input.AddRange([
            Scalar("trip", ElementType.Int64),
            Scalar("go", ElementType.Bool),
            Info("state", ElementType.Float32),
        ]);
        body.G.Output.Clear();
        body.G.Output.AddRange([Scalar("on", ElementType.Bool), Info("next", ElementType.Float32)]);
        return body;
    }

    private static AttributeProto ScanBody(string tensor)
    {
        var body = SmallModel.Branch("body", "Add", ["row", tensor], "sum");
        body.G.Input.Add(Info("row", ElementType.Float32));
        return body;
    }

    private static ValueInfoProto Scalar(string name, ElementType type)
    {
        var info = Info(name, type);
        info.Type.TensorType.Shape = new TensorShapeProto();
        return info;
    }

    private static ValueInfoProto Info(string name, ElementType type) =>
        new()
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } },
        };

    /// <summary>Makes the graph's first node a call of a function that holds one standard operator.</summary>
    private static void Function(ModelProto model, string name, string type, string[] inputs)
    {
        var function = new FunctionProto
        {
            Name = name,
            Domain = "mine",
            Input = { inputs },
            Output = { "result" },
        };
        function.Node.Add(
            new NodeProto
            {
                OpType = type,
                Input = { inputs },
                Output = { "result" },
            }
        );
        function.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        model.Functions.Add(function);
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "mine", Version = 1 });
        model.Graph.Node[0].Domain = "mine";
    }

    private static void MoveOut(ModelProto model, List<byte> data, string location)
    {
        foreach (var tensor in model.Graph.Initializer)
        {
            var bytes = tensor.RawData;
            tensor.RawData = ByteString.Empty;
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.AddRange([
                new StringStringEntryProto { Key = "location", Value = location },
                new StringStringEntryProto { Key = "offset", Value = $"{data.Count}" },
                new StringStringEntryProto { Key = "length", Value = $"{bytes.Length}" },
            ]);
            data.AddRange(bytes);
        }
    }
}
