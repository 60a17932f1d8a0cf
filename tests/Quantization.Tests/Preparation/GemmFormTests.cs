using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

public class GemmFormTests
{
    [Fact]
    public void Factors_go_into_weight_and_bias()
    {
        var model = Model(("alpha", 2f), ("beta", 3f));
        model.Add(Initializer.Of("c", [1f, 2], 2));
        GemmForm.Apply(model);
        var gemm = Assert.Single(model.Nodes);
        Assert.Empty(gemm.Attributes);
        Assert.Equal([2f, 4, 6, 8], model.Initializers[gemm.Inputs[1]].Floats());
        Assert.Equal([3f, 6], model.Initializers[gemm.Inputs[2]].Floats());
    }

    [Theory]
    [InlineData(new long[] { })]
    [InlineData(new long[] { 1 })]
    [InlineData(new long[] { 1, 1 })]
    public void One_number_for_all_columns_becomes_one_a_column(long[] dims)
    {
        var model = Model();
        model.Add(Initializer.Of("c", [7f], dims));
        GemmForm.Apply(model);
        var bias = model.Initializers[Assert.Single(model.Nodes).Inputs[2]];
        Assert.Equal([7f, 7], bias.Floats());
        Assert.Equal([2], bias.Dims);
    }

    [Fact]
    public void What_differs_from_row_to_row_is_added_behind()
    {
        var model = Model();
        model.Add(Initializer.Of("c", [1f, 2], 2, 1));
        GemmForm.Apply(model);
        Assert.Equal(["Gemm", "Add"], model.Nodes.Select(node => node.OpType));
        Assert.Equal(2, model.Nodes[0].Inputs.Count);
        Assert.Equal([model.Nodes[0].Outputs[0], "c"], model.Nodes[1].Inputs);
        Assert.Equal("y", model.Nodes[1].Outputs[0]);
    }

    private static OnnxGraph Model(params (string Name, object Value)[] attributes)
    {
        var model = new SmallModel().Input("x", 2).Node("Gemm", ["x", "w", "c"], "y", attributes).Output("y").Graph;
        model.Add(Initializer.Of("w", [1f, 2, 3, 4], 2, 2));
        return model;
    }
}
