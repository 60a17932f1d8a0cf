using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

/// <summary>The formula of the norm in the folded weights, and the places where a norm has to stay.</summary>
public class BatchNormFoldingTests
{
    [Fact]
    public void Scale_and_shift_go_into_the_layer()
    {
        var model = Model();
        BatchNormFolding.Apply(model);
        var gemm = Assert.Single(model.Nodes);
        Assert.Equal("out", gemm.Outputs[0]);
        // gamma / sqrt(variance): 6 / 2 and 1 / 1; (0 - mean) s + beta: (0 - 1) 3 + 5 and (0 - 2) 1 + 0.
        Assert.Equal([3f, 2, 9, 4], model.Initializers[gemm.Inputs[1]].Floats());
        Assert.Equal([2f, -2], model.Initializers[gemm.Inputs[2]].Floats());
        Assert.DoesNotContain("gamma", model.Initializers.Keys);
    }

    [Fact]
    public void A_value_that_others_read_keeps_its_norm()
    {
        var read = Model();
        read.Nodes.Add(
            new OnnxNode
            {
                OpType = "Relu",
                Name = "relu",
                Inputs = ["y"],
                Outputs = ["z"],
            }
        );
        BatchNormFolding.Apply(read);
        Assert.Equal(3, read.Nodes.Count);
        var given = Model();
        given.Outputs.Add(new ValueInfo("y", ElementType.Float32, ["batch", 2L]));
        BatchNormFolding.Apply(given);
        Assert.Equal(2, given.Nodes.Count);
        var training = Model();
        training.Nodes[1].Attributes["training_mode"] = 1L;
        BatchNormFolding.Apply(training);
        Assert.Equal(2, training.Nodes.Count);
    }

    /// <summary>s is 6 / sqrt(3 + 1) = 3 and 1 / sqrt(0 + 1) = 1; the bias is (b - mean) s + beta.</summary>
    [Theory]
    [InlineData("Conv", false)]
    [InlineData("Gemm", true)] // transB: [out, in], as a convolution's
    [InlineData("Gemm", false)]
    public void Weights_of_every_layout_and_a_bias_of_their_own_are_scaled(string type, bool isTransposed)
    {
        var model = Model();
        model.Nodes[0] = new OnnxNode
        {
            OpType = type,
            Name = "layer",
            Inputs = ["x", "w", "b"],
            Outputs = ["y"],
        };
        if (isTransposed)
            model.Nodes[0].Attributes["transB"] = 1L;
        model.Nodes[1].Attributes["epsilon"] = 1f;
        model.Initializers["variance"] = Initializer.Of("variance", [3f, 0], 2);
        var isByRow = type == "Conv" || isTransposed;
        long[] dims =
            type == "Conv" ? [2, 1, 1, 3]
            : isByRow ? [2, 3]
            : [3, 2];
        model.Initializers["w"] = Initializer.Of("w", [1f, 2, 3, 4, 5, 6], dims);
        model.Add(Initializer.Of("b", [10f, 20], 2));
        BatchNormFolding.Apply(model);
        var layer = Assert.Single(model.Nodes);
        Assert.Equal(["x", "layer:folded", "layer:folded_bias"], layer.Inputs);
        var weight = model.Initializers["layer:folded"];
        Assert.Equal(dims, weight.Dims);
        Assert.Equal(isByRow ? [3f, 6, 9, 4, 5, 6] : [3f, 2, 9, 4, 15, 6], weight.Floats());
        Assert.Equal([((10f - 1) * 3) + 5, 20 - 2], model.Initializers["layer:folded_bias"].Floats());
        Assert.Equal(2, model.Initializers.Count);
    }

    [Theory]
    [InlineData("no layer before it")]
    [InlineData("an input of the model before it")]
    [InlineData("several results")]
    [InlineData("a computed weight")]
    [InlineData("a computed scale")]
    [InlineData("another type")]
    public void What_cannot_be_folded_stays_as_it_is(string what)
    {
        var model = Model();
        switch (what)
        {
            case "no layer before it":
                model.Nodes[0] = new OnnxNode
                {
                    OpType = "Relu",
                    Name = "relu",
                    Inputs = ["x"],
                    Outputs = ["y"],
                };
                break;
            case "an input of the model before it":
                model.Nodes[1].Inputs[0] = "x";
                break;
            case "several results":
                model.Nodes[1].Outputs.Add("mean:now");
                break;
            case "a computed weight":
                model.Initializers.Remove("w");
                break;
            case "a computed scale":
                model.Initializers.Remove("gamma");
                break;
            default:
                model.Initializers["beta"] = Initializer.Of<double>("beta", ElementType.Float64, [5, 0], [2]);
                break;
        }

        BatchNormFolding.Apply(model);
        Assert.Equal(2, model.Nodes.Count);
        Assert.DoesNotContain(model.Initializers.Keys, name => name.Contains("folded", StringComparison.Ordinal));
    }

    /// <summary>An unnamed second result is none; and each of two layers that share a weight has its own after
    /// that.</summary>
    [Fact]
    public void Two_norms_behind_one_weight_are_folded_each_by_itself()
    {
        var model = Model();
        model.Nodes[1].Outputs.Add("");
        model.Nodes.Add(
            new OnnxNode
            {
                OpType = "Gemm",
                Name = "second",
                Inputs = ["x", "w", ""],
                Outputs = ["y2"],
            }
        );
        var norm = new OnnxNode
        {
            OpType = "BatchNormalization",
            Name = "norm2",
            Inputs = ["y2", "gamma", "beta", "mean", "variance"],
            Outputs = ["out2"],
        };
        norm.Attributes["epsilon"] = 0f;
        model.Nodes.Add(norm);
        model.Outputs.Add(new ValueInfo("out2", ElementType.Float32, ["batch", 2L]));
        BatchNormFolding.Apply(model);
        Assert.Equal(["out", "out2"], model.Nodes.Select(node => node.Outputs[0]));
        foreach (var node in model.Nodes)
            Assert.Equal([3f, 2, 9, 4], model.Initializers[node.Inputs[1]].Floats());
    }

    /// <summary>3 x + 2 twice, x - 2 twice: the second norm follows the layer once the first is gone.</summary>
    [Fact]
    public void Norm_after_norm_and_no_other_node_is_folded()
    {
        var model = Model();
        model.Nodes[1].Outputs[0] = "n";
        var second = model.Nodes[1].Copy();
        (second.Inputs[0], second.Outputs[0]) = ("n", "r");
        model.Nodes.Add(second);
        model.Nodes.Add(
            new OnnxNode
            {
                OpType = "Relu",
                Name = "relu",
                Inputs = ["r"],
                Outputs = ["out"],
            }
        );
        BatchNormFolding.Apply(model);
        Assert.Equal(["Gemm", "Relu"], model.Nodes.Select(node => node.OpType));
        BatchNormFolding.Apply(model);
        Assert.Equal(["Gemm", "Relu"], model.Nodes.Select(node => node.OpType));
        Assert.Equal([9f, 2, 27, 4], model.Initializers[model.Nodes[0].Inputs[1]].Floats());
        Assert.Equal([8f, -4], model.Initializers[model.Nodes[0].Inputs[2]].Floats());
    }

    private static OnnxGraph Model()
    {
        var model = new SmallModel()
            .Input("x", 2)
            .Node("Gemm", ["x", "w"], "y")
            .Node("BatchNormalization", ["y", "gamma", "beta", "mean", "variance"], "out", ("epsilon", 0f))
            .Output("out")
            .Graph;
        model.Add(Initializer.Of("w", [1f, 2, 3, 4], 2, 2));
        model.Add(Initializer.Of("gamma", [6f, 1], 2));
        model.Add(Initializer.Of("beta", [5f, 0], 2));
        model.Add(Initializer.Of("mean", [1f, 2], 2));
        model.Add(Initializer.Of("variance", [4f, 1], 2));
        return model;
    }
}
