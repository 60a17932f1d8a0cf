using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

/// <summary>Two layers with a ReLU between them: channels get the same range, and the product stays the
/// same.</summary>
public class RangeEqualizationTests
{
    [Fact]
    public void Ranges_meet_and_the_products_stay()
    {
        var model = new SmallModel()
            .Input("x", 2, 5, 5)
            .Node("Conv", ["x", "w1"], "a")
            .Node("Relu", ["a"], "b")
            .Node("Conv", ["b", "w2"], "y")
            .Output("y")
            .Graph;
        model.Add(Initializer.Of("w1", [100f, 50, 1, 2], 2, 2, 1, 1));
        model.Add(Initializer.Of("w2", [1f, 10, 2, 20], 2, 2, 1, 1));
        RangeEqualization.Apply(model);
        float[] first = model.Initializers[model.Nodes[0].Inputs[1]].Floats(),
            second = model.Initializers[model.Nodes[2].Inputs[1]].Floats();
        // w1[c, k] w2[j, c] is what a path through channel c multiplies by.
        Assert.Equal(100, first[0] * second[0], 2);
        Assert.Equal(10, first[2] * second[1], 3);
        float Range(params float[] values) => values.Max(Math.Abs);
        // sqrt(100 x 2) and sqrt(2 x 20): before they were 100 and 2.
        Assert.Equal(14.142, Range(first[0], first[1]), 2);
        Assert.Equal(6.325, Range(first[2], first[3]), 2);
    }

    /// <summary>Wide kernels, biases, what a factor passes through, and a depthwise second layer: computed by the
    /// runtime before and after.</summary>
    [Theory]
    [InlineData("Relu", 1)]
    [InlineData("LeakyRelu", 1)]
    [InlineData("MaxPool", 1)]
    [InlineData("GlobalAveragePool", 1)]
    [InlineData("Relu", 4)]
    public void The_model_computes_the_same_and_the_ranges_of_every_channel_meet(string between, int groups)
    {
        var model = Pair(between, groups);
        var expected = Outputs(model);
        RangeEqualization.Apply(model);
        Assert.Equal(expected, Outputs(model), (want, got) => Math.Abs(want - got) <= 1e-4 * (1 + Math.Abs(want)));
        for (var channel = 0; channel < 4; channel++)
        {
            var (first, second) = Ranges(model, channel);
            Assert.InRange(first / second, 0.99999, 1.00001);
        }
    }

    [Fact]
    public void A_chain_of_three_settles_in_both_places()
    {
        var model = new SmallModel()
            .Input("x", 3, 6, 6)
            .Weight("w1", 4, 3, 1, 1)
            .Weight("w2", 4, 4, 1, 1)
            .Weight("w3", 4, 4, 1, 1)
            .Node("Conv", ["x", "w1"], "a")
            .Node("Conv", ["a", "w2"], "b")
            .Node("Conv", ["b", "w3"], "y")
            .Output("y")
            .Graph;
        var wide = model.Initializers["w1"].Floats();
        wide[0] = 500;
        model.Initializers["w1"] = Initializer.Of("w1", wide, 4, 3, 1, 1);
        RangeEqualization.Apply(model);
        float[] first = model.Initializers["w1"].Floats(),
            second = model.Initializers["w2"].Floats(),
            third = model.Initializers["w3"].Floats();
        for (var channel = 0; channel < 4; channel++)
        {
            // One round leaves the first pair far from equal again.
            Close(Largest(first.Skip(3 * channel).Take(3)), Column(second, channel));
            Close(Largest(second.Skip(4 * channel).Take(4)), Column(third, channel));
        }

        static float Column(float[] weights, int channel) => Largest(weights.Where((_, index) => index % 4 == channel));
        static void Close(float one, float other) => Assert.InRange(one / other, 0.9, 1.1);
    }

    [Theory]
    [InlineData("Sigmoid")] // no factor passes through it
    [InlineData("a step of two results")]
    [InlineData("an output between")]
    [InlineData("another reader between")]
    [InlineData("a weight with another reader")]
    [InlineData("a weight that is an output")]
    [InlineData("groups of two")]
    [InlineData("two filters a channel")]
    public void Where_it_would_change_what_is_computed_the_weights_stay(string what)
    {
        var model = Pair(
            what == "Sigmoid" ? what : "Relu",
            what switch
            {
                "groups of two" => 2,
                "two filters a channel" => 8,
                _ => 1,
            }
        );
        if (what == "a step of two results")
            model.Nodes[1].Outputs.Add("indices");
        if (what == "an output between")
            model.Outputs.Add(new ValueInfo("b", ElementType.Float32, ["batch", 4L, 6L, 6L]));
        if (what == "another reader between")
            model.Nodes.Add(Node("Neg", "a", "n"));
        if (what == "a weight with another reader")
            model.Nodes.Add(Node("Neg", "w2", "n"));
        if (what == "a weight that is an output")
            model.Outputs.Add(new ValueInfo("w1", ElementType.Float32, [4L, 3L, 3L, 3L]));
        var before = model.Initializers.ToDictionary(pair => pair.Key, pair => pair.Value.Floats());
        RangeEqualization.Apply(model);
        Assert.All(before, pair => Assert.Equal(pair.Value, model.Initializers[pair.Key].Floats()));
    }

    /// <summary>A channel of zeros, on either side, and one whose bias would become infinite; the others are
    /// equalized all the same.</summary>
    [Theory]
    [InlineData("w1")]
    [InlineData("w2")]
    [InlineData("b1")]
    public void A_channel_without_a_factor_is_left(string what)
    {
        var model = Pair("Relu", 1);
        var values = model.Initializers[what].Floats();
        for (var index = 0; index < values.Length; index++)
        {
            // Channel 2: rows of w1, columns of w2.
            if (what == "w1" ? index / 27 == 2 : what == "w2" && index / 9 % 4 == 2)
                values[index] = 0;
        }

        if (what == "b1")
        {
            values[2] = 3e38f;
            var tiny = model.Initializers["w1"].Floats();
            for (var index = 54; index < 81; index++)
                tiny[index] *= 1e-3f; // a factor below 1
            model.Initializers["w1"] = Initializer.Of("w1", tiny, 4, 3, 3, 3);
        }

        model.Initializers[what] = Initializer.Of(what, values, model.Initializers[what].Dims);
        var before = model.Initializers.ToDictionary(pair => pair.Key, pair => pair.Value.Floats());
        RangeEqualization.Apply(model);
        Assert.Equal(before["w1"][54..81], model.Initializers["w1"].Floats()[54..81]);
        Assert.Equal(before["b1"][2], model.Initializers["b1"].Floats()[2]);
        Assert.NotEqual(before["w1"][..27], model.Initializers["w1"].Floats()[..27]);
        Assert.NotEqual(before["b1"][0], model.Initializers["b1"].Floats()[0]);
    }

    [Fact]
    public void An_absent_bias_is_no_tensor_that_others_could_read()
    {
        var model = Pair("Relu", 1);
        model.Nodes[0].Inputs[2] = "";
        model.Nodes[2].Inputs.Add("");
        model.Initializers.Remove("b1");
        RangeEqualization.Apply(model);
        for (var channel = 0; channel < 4; channel++)
        {
            var (first, second) = Ranges(model, channel);
            Assert.InRange(first / second, 0.99999, 1.00001);
        }
    }

    /// <summary>Only convolutions: a Gemm's channels lie elsewhere.</summary>
    [Fact]
    public void Layers_of_another_kind_stay()
    {
        var model = new SmallModel()
            .Input("x", 4)
            .Weight("w1", 4, 4)
            .Weight("w2", 4, 4)
            .Node("Gemm", ["x", "w1"], "a")
            .Node("Relu", ["a"], "b")
            .Node("Gemm", ["b", "w2"], "y")
            .Output("y")
            .Graph;
        var before = model.Initializers["w1"].Floats();
        RangeEqualization.Apply(model);
        Assert.Equal(before, model.Initializers["w1"].Floats());
    }

    /// <summary>Conv 3 to 4 with a bias, a step between, and a second Conv.</summary>
    private static OnnxGraph Pair(string between, int groups)
    {
        var model = new SmallModel()
            .Input("x", 3, 8, 8)
            .Weight("w1", 4, 3, 3, 3)
            .Weight("b1", 4)
            .Weight(
                "w2",
                groups == 8 ? 8 : 4,
                groups == 1 ? 4
                    : groups == 2 ? 2
                    : 1,
                3,
                3
            )
            .Node("Conv", ["x", "w1", "b1"], "a")
            .Node(between, ["a"], "b", between == "MaxPool" ? [("kernel_shape", new long[] { 2, 2 })] : [])
            .Node("Conv", ["b", "w2"], "y", ("group", groups == 8 ? 4L : groups), ("pads", new long[] { 1, 1, 1, 1 }))
            .Output("y");
        return model.Graph;
    }

    private static (float First, float Second) Ranges(OnnxGraph model, int channel)
    {
        float[] first = model.Initializers["w1"].Floats(),
            second = model.Initializers["w2"].Floats();
        return (
            Largest(first.Skip(27 * channel).Take(27)),
            Largest(second.Where((_, index) => index / 9 % 4 == channel))
        );
    }

    private static float Largest(IEnumerable<float> values) => values.Max(Math.Abs);

    private static OnnxNode Node(string type, string from, string to) =>
        new()
        {
            OpType = type,
            Name = type,
            Inputs = [from],
            Outputs = [to],
        };

    private static float[] Outputs(OnnxGraph model)
    {
        using var session = new InferenceSession(OnnxWriter.ToBytes(model));
        var x = new DenseTensor<float>(ArithmeticTests.Normal(2 * 3 * 8 * 8, 77), [2, 3, 8, 8]);
        using var results = session.Run([NamedOnnxValue.CreateFromTensor("x", x)]);
        return [.. results[0].AsEnumerable<float>()];
    }
}
