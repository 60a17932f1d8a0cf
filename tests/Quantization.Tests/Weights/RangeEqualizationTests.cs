using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

/// <summary>Two layers with a ReLU between them: channels are brought to one range, and the product stays.</summary>
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
}
