using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

public class WeightStorageTests
{
    [Theory]
    [InlineData(QuantizationMode.WeightsInt8, "Mul")]
    [InlineData(QuantizationMode.WeightsFloat16, "Cast")]
    public void A_weight_keeps_its_name_and_becomes_a_computed_value(QuantizationMode mode, string operation)
    {
        var model = Model();
        Assert.Equal(["w"], WeightStorage.Apply(model, mode));
        Assert.DoesNotContain("w", model.Initializers.Keys);
        Assert.Equal(operation, model.Producer("w")?.OpType);
        Assert.Equal("MatMul", model.Nodes[^1].OpType);
    }

    [Fact]
    public void Small_tensors_and_numbers_that_do_not_fit_stay_float32()
    {
        var small = new SmallModel().Input("x", 8).Weight("w", 8, 8).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
        Assert.Empty(WeightStorage.Apply(small, QuantizationMode.WeightsInt8));
        var large = Model();
        var values = large.Initializers["w"].Floats();
        values[5] = 70_000; // beyond float16
        large.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Empty(WeightStorage.Apply(large, QuantizationMode.WeightsFloat16));
        values[5] = float.NaN;
        large.Initializers["w"] = Initializer.Of("w", values, 32, 32);
        Assert.Empty(WeightStorage.Apply(large, QuantizationMode.WeightsInt8));
    }

    private static OnnxGraph Model() =>
        new SmallModel().Input("x", 32).Weight("w", 32, 32).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
}
