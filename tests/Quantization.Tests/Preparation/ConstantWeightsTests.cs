using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

public class ConstantWeightsTests
{
    [Fact]
    public void A_weight_that_is_computed_from_constants_becomes_a_tensor()
    {
        var model = new SmallModel()
            .Input("x", 2)
            .Node("Transpose", ["w"], "turned", ("perm", (long[])[1, 0]))
            .Node("MatMul", ["x", "turned"], "y")
            .Output("y")
            .Graph;
        model.Add(Initializer.Of("w", [1f, 2, 3, 4], 2, 2));
        ConstantWeights.Apply(model);
        Assert.Equal("MatMul", Assert.Single(model.Nodes).OpType);
        Assert.Equal([1f, 3, 2, 4], model.Initializers["turned"].Floats());
    }

    [Fact]
    public void A_weight_that_depends_on_an_input_or_on_chance_stays_computed()
    {
        var model = new SmallModel()
            .Input("x", 2)
            .Node("RandomNormal", [], "noise", ("shape", (long[])[2, 2]))
            .Node("MatMul", ["x", "noise"], "y")
            .Node("MatMul", ["y", "x"], "z")
            .Output("z")
            .Graph;
        ConstantWeights.Apply(model);
        Assert.Equal(3, model.Nodes.Count);
    }

    [Fact]
    public void A_weight_that_is_listed_among_the_inputs_is_fixed()
    {
        var model = new SmallModel()
            .Input("x", 2)
            .Input("w", ElementType.Float32, 2L, 2L)
            .Node("MatMul", ["x", "w"], "y")
            .Output("y")
            .Graph;
        model.Add(Initializer.Of("w", [1f, 2, 3, 4], 2, 2));
        ConstantWeights.Apply(model);
        Assert.Equal(["x"], model.Inputs.Select(input => input.Name));
    }
}
