using TorchBridge.Quantization.Verification;

namespace TorchBridge.Quantization.Tests.Verification;

public class ClassRowsTests
{
    [Theory]
    [InlineData("logits", true)]
    [InlineData("probabilities", true)]
    [InlineData("boxes", null)]
    public void Ours_are_classifiers_by_the_name_of_their_output(string name, bool? expected)
    {
        var model = new SmallModel().Input("x", 4).Node("Relu", ["x"], name).Output(name);
        Assert.Equal(expected, ClassRows.Of(model.Graph));
    }

    [Fact]
    public void A_softmax_at_the_end_tells_too()
    {
        var model = new SmallModel().Input("x", 4).Node("Softmax", ["x"], "out").Output("out");
        Assert.True(ClassRows.Of(model.Graph));
    }
}
