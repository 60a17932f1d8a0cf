using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchBridge.Serving.Tests.Protocol;

public class ClassificationTests
{
    [Fact]
    public void The_largest_of_every_row_come_first_with_their_labels()
    {
        var scores = Floats([2, 3], 0.1f, 0.7f, 0.2f, 5, 5, float.NaN);
        var classes = Classification.Of(scores, 2, ["cat", "dog"], isBatched: true);
        Assert.Equal([2, 2], classes.Shape);
        Assert.Equal(
            ["0.700000:1:dog", "0.200000:2", "5.000000:0:cat", "5.000000:1:dog"],
            classes.Strings.Select(text => Encoding.UTF8.GetString(text.Span))
        );
    }

    [Fact]
    public void Without_a_batch_all_is_one_row_and_no_more_come_than_there_are()
    {
        var classes = Classification.Of(Floats([2, 2], 1, 2, 3, 4), 100, [], isBatched: false);
        Assert.Equal([4], classes.Shape);
        Assert.Equal("4.000000:3", Encoding.UTF8.GetString(classes.Strings[0].Span));
    }

    [Fact]
    public void Integers_have_no_decimals_and_no_culture()
    {
        var culture = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = Comma();
            var data = MemoryMarshal.AsBytes<int>(new[] { -7, 1234567 }).ToArray();
            var scores = new Tensor("y", TensorType.Int32, [2]) { Data = data };
            Assert.Equal(
                ["1234567:1", "-7:0"],
                Classification
                    .Of(scores, 2, [], isBatched: false)
                    .Strings.Select(text => Encoding.UTF8.GetString(text.Span))
            );
            Assert.Equal(
                "0.500000:0",
                Encoding.UTF8.GetString(Classification.Of(Floats([1], 0.5f), 1, [], false).Strings[0].Span)
            );
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Fact]
    public void Texts_have_no_classes() =>
        TensorAssert.Refused(RefusalKind.Invalid, () =>
            Classification.Numbers(Tensor.OfStrings("y", [1], [new byte[] { 1 }]))
        );

    private static Tensor Floats(long[] shape, params float[] values) =>
        new("y", TensorType.FP32, shape) { Data = MemoryMarshal.AsBytes<float>(values).ToArray() };

    /// <summary>Half of the world's culture: the programs here know none by name.</summary>
    private static CultureInfo Comma()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.NumberGroupSeparator = ".";
        culture.NumberFormat.NegativeSign = "~";
        return culture;
    }
}
