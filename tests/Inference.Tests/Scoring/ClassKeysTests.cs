using Microsoft.ML;
using TorchBridge.Inference.Scoring;

namespace TorchBridge.Inference.Tests.Scoring;

/// <summary>Keys are numbers. If their order differed from that of the model's classes, wrong classes would count as
/// right.</summary>
public class ClassKeysTests
{
    private static readonly string[] Classes = ["cat", "dog", "owl"];

    [Theory]
    [InlineData("cat,dog,owl", true)]
    [InlineData("cat,dog", true)]
    [InlineData("dog,cat", false)]
    [InlineData("cat,owl", false)]
    [InlineData("yes,no", true)] // a key of something else
    public void Keys_of_the_classes_stand_in_the_models_order(string labels, bool isTaken)
    {
        var context = new MLContext(1);
        var rows = labels.Split(',').Select(label => new Row { Label = label });
        var data = context.Data.LoadFromEnumerable(rows);
        var keyed = context.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
        if (isTaken)
        {
            ClassKeys.Check(keyed.Schema, Classes);
            return;
        }

        var error = Assert.Throws<ArgumentException>(() => ClassKeys.Check(keyed.Schema, Classes));
        Assert.Contains("MapValueToKey", error.Message, StringComparison.Ordinal);
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";
    }
}
