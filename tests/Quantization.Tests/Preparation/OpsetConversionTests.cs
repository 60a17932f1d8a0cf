using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

public class OpsetConversionTests
{
    [Fact]
    public void Axes_become_an_input()
    {
        var old = new SmallModel(11).Input("x", 1, 3).Node("Squeeze", ["x"], "y", ("axes", (long[])[1])).Output("y");
        var model = OpsetConversion.Apply(old.Graph);
        var squeeze = Assert.Single(model.Nodes);
        Assert.Equal(13, model.Opset);
        Assert.Empty(squeeze.Attributes);
        Assert.Equal(ElementType.Int64, model.Initializers[squeeze.Inputs[1]].Type);
        // What was given stays as it was.
        Assert.Single(old.Graph.Nodes[0].Inputs);
    }

    [Theory]
    [InlineData(1L, new[] { "Shape", "Flatten", "Softmax", "Reshape" })]
    [InlineData(-1L, new[] { "Softmax" })]
    public void Softmax_works_on_what_it_flattened(long axis, string[] expected)
    {
        var old = new SmallModel(12).Input("x", 2, 3).Node("Softmax", ["x"], "y", ("axis", axis)).Output("y");
        Assert.Equal(expected, OpsetConversion.Apply(old.Graph).Nodes.Select(node => node.OpType));
    }

    [Theory]
    [InlineData(9, false)]
    [InlineData(11, true)]
    [InlineData(13, true)]
    public void What_is_too_old_is_refused_with_the_way_out(int opset, bool isTaken)
    {
        var model = new SmallModel(opset).Input("x", 3).Node("Relu", ["x"], "y").Output("y").Graph;
        if (isTaken)
        {
            OpsetConversion.Refuse(model, "old.onnx");
            return;
        }

        var error = Assert.Throws<QuantizationException>(() => OpsetConversion.Refuse(model, "old.onnx"));
        Assert.Contains("version_converter", error.Message, StringComparison.Ordinal);
    }
}
