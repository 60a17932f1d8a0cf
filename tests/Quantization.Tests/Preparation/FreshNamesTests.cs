using TorchBridge.Quantization.Preparation;

namespace TorchBridge.Quantization.Tests.Preparation;

public class FreshNamesTests
{
    [Fact]
    public void A_name_is_new_to_values_nodes_and_names_given_before()
    {
        var model = new SmallModel().Input("x", 4).Weight("w", 4, 4).Node("MatMul", ["x", "w"], "y").Output("y").Graph;
        var names = new FreshNames(model);
        Assert.Equal("new", names.Take("new"));
        Assert.Equal("new_2", names.Take("new"));
        foreach (var taken in (string[])["x", "w", "y", "MatMul:y"])
            Assert.Equal($"{taken}_2", names.Take(taken));
    }
}
