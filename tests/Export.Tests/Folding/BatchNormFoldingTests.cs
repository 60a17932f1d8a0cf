using TorchBridge.Export.Folding;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx.Graph;
using static TorchBridge.Export.Tests.FoldingGraph;

namespace TorchBridge.Export.Tests;

/// <summary>Which node is folded into which, with numbers computed by hand; and the wording of each reason why a norm
/// stays.</summary>
public class BatchNormFoldingTests
{
    [Fact]
    public void A_norm_goes_into_the_layer_before_it()
    {
        var graph = Layered(Gemm(["x", "w", "c"], "a"), Norm("a", "y"));
        var result = BatchNormFolding.Fold(graph);
        Assert.Equal(["path.norm"], result.Folded);
        Assert.Empty(result.Refused);
        var gemm = Assert.Single(graph.Nodes);
        Assert.Same(gemm, Assert.Single(result.Layers).Node);
        Assert.Equal(["y"], gemm.Outputs);
        Assert.Equal([3d, 6, 3, 4], Values(graph, gemm.Inputs[1]));
        Assert.Equal([32d, 18], Values(graph, gemm.Inputs[2]));
    }

    [Fact]
    public void A_norm_goes_into_the_layer_after_it()
    {
        var graph = Layered(Norm("x", "a"), Gemm(["a", "w", "c"], "y"));
        var result = BatchNormFolding.Fold(graph);
        Assert.Equal(["path.norm"], result.Folded);
        var gemm = Assert.Single(graph.Nodes);
        Assert.Equal("x", gemm.Inputs[0]);
        Assert.Equal([3d, 2, 9, 4], Values(graph, gemm.Inputs[1]));
        Assert.Equal([10d + 2 - 4, 20 + 6 - 8], Values(graph, gemm.Inputs[2]));
    }

    [Fact]
    public void A_layer_takes_one_on_either_side()
    {
        var graph = Layered(Norm("x", "a"), Gemm(["a", "w", "c"], "b"), Norm("b", "y", "second"));
        var result = BatchNormFolding.Fold(graph);
        Assert.Equal(["path.second", "path.norm"], result.Folded);
        Assert.Equal("Gemm", graph.Text());
        Assert.Equal([false, true], Assert.Single(result.Layers).Steps.Select(step => step.IsBefore));
        Assert.Equal([(3d * 8) + 2, 18 - 2], Values(graph, graph.Nodes[0].Inputs[2]));
    }

    /// <summary>Relu, norm, norm: no layer takes them, and the second goes into the first: 3 (6 n + 5) + 2.</summary>
    [Theory]
    [InlineData(false, "the layer before it is Relu (Relu); its output is an output of the model")]
    [InlineData(
        true,
        "the layer before it is Relu (Relu); it already absorbed a chain, so it cannot be folded into gemm"
    )]
    public void A_norm_that_stays_takes_in_the_next(bool hasLayer, string reason)
    {
        OnnxNode[] nodes = [Node("Relu", ["x"], "a"), Norm("a", "b"), Norm("b", hasLayer ? "d" : "y", "second")];
        var graph = Layered(hasLayer ? [.. nodes, Gemm(["d", "w", "c"], "y")] : nodes);
        var result = BatchNormFolding.Fold(graph);
        Assert.Equal(["path.second"], result.Folded);
        Assert.Equal([new FoldRefusal("path.norm", reason)], result.Refused);
        var norm = graph.Nodes[1];
        Assert.Equal(["a", "norm.weight:chain", "norm.bias:chain", "mean", "variance"], norm.Inputs);
        Assert.Equal([18d, 1], Values(graph, norm.Inputs[1]));
        Assert.Equal([17d, -2], Values(graph, norm.Inputs[2]));
        Assert.Equal([hasLayer ? "d" : "y"], norm.Outputs);
        Assert.Empty(result.Layers);
    }

    public static TheoryData<string, string> Reasons =>
        new()
        {
            { "input", "it normalizes an input of the model" },
            { "output too", "it normalizes an input of the model; its output is an output of the model" },
            { "Relu", "the layer before it is Relu (Relu)" },
            { "an output between", "the output of gemm is an output of the model" },
            { "another reader", "the output of gemm is used elsewhere too" },
            { "computed", "its statistics are computed in forward" },
            { "kept", "somebody asked for it" },
            { "shared", "the layer shares its weights with other" },
            { "channels", "gemm has 1 channels, but the norm has 2" },
            {
                "padding",
                "the layer before it is Relu (Relu); conv after it pads with zeros, which the norm would not have shifted"
            },
            { "shared behind it", "the layer before it is Relu (Relu); the layer shares its weights with other" },
            { "read as a weight", "the layer before it is Relu (Relu)" },
            { "read twice", "the layer before it is Relu (Relu)" },
        };

    [Theory]
    [MemberData(nameof(Reasons))]
    public void A_norm_that_stays_says_why(string what, string reason)
    {
        var keep = new Dictionary<string, string>();
        OnnxGraph graph;
        OnnxNode[] behindRelu = [Node("Relu", ["x"], "r"), Norm("r", "n")];
        switch (what)
        {
            case "input":
                graph = Layered(Norm("x", "a"), Node("Relu", ["a"], "y"));
                break;
            case "output too":
                graph = Layered(Norm("x", "y"));
                break;
            case "Relu":
                graph = Layered([.. behindRelu, Node("Neg", ["n"], "y")]);
                break;
            case "padding":
                graph = Layered([.. behindRelu, Node("Conv", ["n", "k"], "y", "conv", ("pads", new long[] { 1, 1 }))]);
                graph.With("k", [1, 2], 1, 2, 1);
                break;
            case "shared behind it":
                graph = Layered([.. behindRelu, Gemm(["n", "w"], "y"), Gemm(["x", "w"], "z", "other")]);
                break;
            case "read as a weight":
                graph = Layered([.. behindRelu, Gemm(["x", "n"], "y")]);
                break;
            case "read twice":
                graph = Layered([.. behindRelu, Gemm(["n", "w", "n"], "y")]);
                break;
            default:
                graph = Layered(Gemm(["x", "w", "c"], "a"), Norm("a", "b"), Node("Relu", ["b"], "y"));
                break;
        }

        switch (what)
        {
            case "an output between":
                graph.Outputs.Add(new ValueInfo("a", ElementType.Float32, ["batch", 2L]));
                break;
            case "another reader":
                graph.Nodes.Add(Node("Neg", ["a"], "z"));
                break;
            case "computed":
                graph.Initializers.Remove("variance");
                break;
            case "kept":
                keep["norm"] = reason;
                break;
            case "shared":
                graph.Nodes.Add(Gemm(["x", "w"], "z", "other"));
                break;
            case "channels":
                graph.Initializers["w"] = Initializer.Of("w", [1, 2], 1, 2);
                break;
        }

        var before = graph.Text();
        var result = BatchNormFolding.Fold(graph, keep);
        Assert.Equal([new FoldRefusal("path.norm", reason)], result.Refused);
        Assert.Empty(result.Folded);
        Assert.Empty(result.Layers);
        Assert.Equal(before, graph.Text());
        Assert.DoesNotContain(graph.Initializers.Keys, name => name.Contains("folded", StringComparison.Ordinal));
    }

    /// <summary>The node next to the layer is folded first; then the other one is next to the layer.</summary>
    [Fact]
    public void A_chain_before_a_layer_goes_into_it_from_its_end()
    {
        var graph = Layered(Node("Mul", ["x", "k"], "a"), Norm("a", "b"), Gemm(["b", "w", "c"], "y"))
            .With("k", [10, 100], 2);
        Assert.Equal(["path.norm"], BatchNormFolding.Fold(graph).Folded);
        Assert.Equal("Gemm", graph.Text());
        Assert.Equal([30d, 200, 90, 400], Values(graph, graph.Nodes[0].Inputs[1]));
        Assert.Equal([8d, 18], Values(graph, graph.Nodes[0].Inputs[2]));
    }

    /// <summary>((2 x - m) / 4) of two channels: x / 2 and - m / 4.</summary>
    [Fact]
    public void A_chain_of_arithmetic_becomes_one_Mul_and_one_Add()
    {
        var graph = Of(
                [2, 4],
                Node("Relu", ["x"], "r"),
                Node("Mul", ["r", "two"], "a"),
                Node("Sub", ["a", "offset"], "b"),
                Node("Div", ["b", "four"], "c"),
                Node("Relu", ["c"], "y")
            )
            .With("two", [2])
            .With("offset", [1, 3], 2, 1)
            .With("four", [4], 1);
        foreach (var name in (string[])["r", "a", "b", "c"])
            graph.Infos[name] = new ValueInfo(name, ElementType.Float32, ["batch", 2L, 4L]);
        graph.Ranks["a"] = (ElementType.Float32, 3);
        BatchNormFolding.Fold(graph);
        Assert.Equal("Relu, Mul, Add, Relu", graph.Text());
        OnnxNode scale = graph.Nodes[1],
            shift = graph.Nodes[2];
        Assert.Equal(["r", "Mul:mul"], scale.Inputs);
        Assert.Equal(["a:scaled"], scale.Outputs);
        Assert.Equal(["a:scaled", "Div:add"], shift.Inputs);
        Assert.Equal(["c"], shift.Outputs);
        Assert.Equal(("Mul:mul", "path.Mul"), (scale.Name, scale.ModulePath));
        Assert.Equal(("Div:add", "path.Div"), (shift.Name, shift.ModulePath));
        Assert.Equal([0.5, 0.5], Values(graph, "Mul:mul"));
        Assert.Equal([-0.25, -0.75], Values(graph, "Div:add"));
        Assert.Equal([2L, 1], graph.Initializers["Div:add"].Dims);
        Assert.Equal((ElementType.Float32, 3), graph.Ranks["a:scaled"]);
        Assert.Equal("a:scaled", graph.Infos["a:scaled"].Name);
    }

    [Theory]
    [InlineData("Mul, Add", "Mul, Add")] // already the form it would get
    [InlineData("Add, Mul", "Mul, Add")]
    [InlineData("Mul, Mul", "Mul")]
    [InlineData("Mul", "Mul")]
    [InlineData("Add, Add", "Mul, Add")]
    [InlineData("Mul, Add, Mul", "Mul, Add")]
    public void A_chain_becomes_two_at_most(string before, string after)
    {
        var operators = before.Split(", ");
        var graph = Of(
                [2, 4],
                [
                    .. operators.Select(
                        (type, at) =>
                            Node(
                                type,
                                [at == 0 ? "x" : $"a{at - 1}", at == 0 ? "k" : "l"],
                                at == operators.Length - 1 ? "y" : $"a{at}",
                                $"{type}{at}"
                            )
                    ),
                ]
            )
            .With("k", [2])
            .With("l", [4]);
        foreach (var name in (string[])["a0", "a1"])
            graph.Infos[name] = new ValueInfo(name, ElementType.Float32, ["batch", 2L, 4L]);
        BatchNormFolding.Fold(graph);
        Assert.Equal(after, graph.Text());
        // What has its form already is not written again.
        Assert.Equal(before == after, graph.Nodes[0].Name == $"{operators[0]}0");
        var (scale, shift) = (1d, 0d);
        foreach (var node in graph.Nodes)
        {
            var value = Values(graph, node.Inputs[1])[0];
            (scale, shift) = node.OpType == "Mul" ? (scale * value, shift * value) : (scale, shift + value);
        }

        Assert.Equal(
            before switch
            {
                "Mul, Add" => (2, 4),
                "Add, Mul" => (4, 8),
                "Mul, Mul" => (8, 0),
                "Mul" => (2, 0),
                "Mul, Add, Mul" => (8, 16),
                _ => (1, 6),
            },
            (scale, shift)
        );
        Assert.Equal(("x", "y"), (graph.Nodes[0].Inputs[0], graph.Nodes[^1].Outputs[0]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_value_that_is_read_twice_or_given_back_ends_a_chain(bool isOutput)
    {
        var graph = Of([2, 4], Node("Mul", ["x", "k"], "a"), Node("Mul", ["a", "k"], "y", "second")).With("k", [2]);
        graph.Infos["a"] = new ValueInfo("a", ElementType.Float32, ["batch", 2L, 4L]);
        if (isOutput)
            graph.Outputs.Add(new ValueInfo("a", ElementType.Float32, ["batch", 2L, 4L]));
        else
            graph.Nodes.Add(Node("Neg", ["a"], "z"));
        var before = graph.Text();
        BatchNormFolding.Fold(graph);
        Assert.Equal(before, graph.Text());
    }

    [Fact]
    public void A_norm_behind_arithmetic_is_no_part_of_its_chain()
    {
        var graph = Layered(Node("Mul", ["x", "k"], "a"), Norm("a", "b"), Node("Relu", ["b"], "y"))
            .With("k", [10, 100], 2);
        graph.Infos["a"] = new ValueInfo("a", ElementType.Float32, ["batch", 2L]);
        Assert.Empty(BatchNormFolding.Fold(graph).Folded);
        Assert.Equal("Mul, BatchNormalization, Relu", graph.Text());
    }

    [Fact]
    public void What_is_not_asked_for_does_nothing() =>
        Assert.Equal(
            (0, 0, 0),
            (FoldResult.None.Folded.Count, FoldResult.None.Refused.Count, FoldResult.None.Layers.Count)
        );

    /// <summary>A graph over x [batch, 2] with the norm's tensors, w [2, 2] and c [2].</summary>
    private static OnnxGraph Layered(params OnnxNode[] nodes) =>
        Of([2], nodes).WithNorm().With("w", [1, 2, 3, 4], 2, 2).With("c", [10, 20], 2);

    private static double[] Values(OnnxGraph graph, string name) => TensorBytes.ToDoubles(graph.Initializers[name]);
}
