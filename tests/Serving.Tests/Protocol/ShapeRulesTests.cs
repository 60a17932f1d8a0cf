namespace TorchBridge.Serving.Tests.Protocol;

public class ShapeRulesTests
{
    private static readonly ProtocolLimits Limits = new() { Bytes = 1000, Rank = 4 };

    [Theory]
    [InlineData(new long[] { }, 1)]
    [InlineData(new long[] { 250 }, 250)]
    [InlineData(new long[] { 2, 5, 25 }, 250)]
    [InlineData(new long[] { long.MaxValue, 0 }, 0)]
    public void Elements_are_counted_up_to_the_limit_of_bytes(long[] shape, long expected) =>
        Assert.Equal(expected, ShapeRules.Count(shape, TensorType.FP32, Limits, "input 'x'"));

    [Theory]
    [InlineData(new long[] { 251 }, RefusalKind.TooLarge)]
    [InlineData(new[] { 1L << 33, 1L << 33, 1L << 33 }, RefusalKind.TooLarge)]
    [InlineData(new[] { long.MaxValue, long.MaxValue }, RefusalKind.TooLarge)]
    [InlineData(new long[] { 2, -1 }, RefusalKind.Invalid)]
    [InlineData(new long[] { 0, -1 }, RefusalKind.Invalid)]
    [InlineData(new long[] { 1, 1, 1, 1, 1 }, RefusalKind.Invalid)]
    public void A_product_beyond_all_numbers_is_refused_as_any_other(long[] shape, object kind) =>
        TensorAssert.Refused((RefusalKind)kind, () => ShapeRules.Count(shape, TensorType.FP32, Limits, "input 'x'"));

    [Fact]
    public void A_text_takes_four_bytes_at_least()
    {
        Assert.Equal(250, ShapeRules.Count([250], TensorType.Bytes, Limits, "x"));
        TensorAssert.Refused(RefusalKind.TooLarge, () => ShapeRules.Count([251], TensorType.Bytes, Limits, "x"));
        Assert.Equal(1000, ShapeRules.Count([1000], TensorType.UInt8, Limits, "x"));
    }
}
