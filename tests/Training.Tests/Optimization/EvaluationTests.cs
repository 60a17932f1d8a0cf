using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Tests;

public class EvaluationTests
{
    [Theory]
    [InlineData(2, "")]
    [InlineData(5, "")]
    [InlineData(6, "top-5 99.57 %, ")]
    public void The_five_largest_are_named_where_there_are_more_classes(int classes, string text) =>
        Assert.Equal(text, Evaluation.TopFiveText(0.9957, classes));
}
