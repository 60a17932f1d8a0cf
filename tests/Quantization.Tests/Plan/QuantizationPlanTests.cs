using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Tests.Plan;

public class QuantizationPlanTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void What_only_moves_integers_between_layers_stays_in_integers()
    {
        var plan = QuantizationPlan.Of(Model().Graph, None);
        Assert.Equal(Role.Layer, plan.Roles["MatMul:a"]);
        Assert.Equal(Role.Move, plan.Roles["Flatten:b"]);
        Assert.Equal(Role.Layer, plan.Roles["MatMul:y"]);
        Assert.Empty(plan.Left);
    }

    [Fact]
    public void A_layer_that_is_to_stay_in_float_is_told_with_its_reason()
    {
        var plan = QuantizationPlan.Of(Model().Graph, new Dictionary<string, string> { ["MatMul:a"] = "requested" });
        Assert.Equal(("MatMul:a", "requested"), (plan.Left.Single().Node, plan.Left.Single().Reason));
        // Between float and integers nothing is left to move.
        Assert.DoesNotContain("Flatten:b", plan.Roles.Keys);
        Assert.Equal(["MatMul:y"], plan.Layers.Select(layer => layer.Name));
    }

    [Fact]
    public void A_weight_that_is_an_input_cannot_be_quantized()
    {
        var model = new SmallModel().Input("x", 8).Input("w", 8).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
        Assert.Contains(
            "is an input itself",
            QuantizationPlan.Refusal(model, model.Nodes[0])!,
            StringComparison.Ordinal
        );
    }

    private static SmallModel Model() =>
        new SmallModel()
            .Input("x", 8)
            .Weight("w", 8, 8)
            .Node("MatMul", ["x", "w"], "a")
            .Node("Flatten", ["a"], "b")
            .Weight("v", 8, 8)
            .Node("MatMul", ["b", "v"], "y")
            .Output("y");
}
