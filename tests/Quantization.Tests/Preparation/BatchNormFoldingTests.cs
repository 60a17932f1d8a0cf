using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

/// <summary>The norm's formula, in the weights; and the places where it has to stay.</summary>
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
