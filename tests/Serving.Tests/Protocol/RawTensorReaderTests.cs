namespace TorchBridge.Serving.Tests.Protocol;

public class RawTensorReaderTests
{
    private static readonly ProtocolLimits Limits = new();

    [Theory]
    [InlineData(new byte[] { }, 1L)]
    [InlineData(new byte[] { 1, 0, 0 }, 1L)]
    [InlineData(new byte[] { 1, 0, 0, 0 }, 1L)] // a byte that is not there
    [InlineData(new byte[] { 255, 255, 255, 255, 7 }, 1L)]
    [InlineData(new byte[] { 0, 0, 0, 128, 7 }, 1L)]
    [InlineData(new byte[] { 1, 0, 0, 0, 7, 8 }, 1L)] // a byte too many
    [InlineData(new byte[] { 1, 0, 0, 0, 7 }, 2L)]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0 }, 1L)]
    [InlineData(new byte[] { 0, 0, 0, 0 }, 1_000_000_000L)]
    public void Lengths_that_do_not_fit_are_refused(byte[] raw, long count)
    {
        var error = Assert.Throws<RequestRefusedException>(() =>
            RawTensorReader.Read("x", TensorType.Bytes, [count], raw, Limits)
        );
        Assert.Contains("'x'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Empty_strings_and_empty_tensors_are_read()
    {
        Assert.Equal(2, RawTensorReader.Read("x", TensorType.Bytes, [2], new byte[8], Limits).Strings.Count);
        Assert.Empty(RawTensorReader.Read("x", TensorType.Bytes, [0], default, Limits).Strings);
        Assert.Equal(0, RawTensorReader.Read("x", TensorType.FP32, [3, 0], default, Limits).Data.Length);
    }

    [Fact]
    public void A_boolean_is_0_or_1()
    {
        RawTensorReader.Read("x", TensorType.Bool, [3], new byte[] { 0, 1, 1 }, Limits);
        Assert.Contains(
            "holds 2 at element 1",
            TensorAssert.Refused(RefusalKind.Invalid, () =>
                RawTensorReader.Read("x", TensorType.Bool, [3], new byte[] { 0, 2, 1 }, Limits)
            ),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Every_length_but_the_right_one_is_refused()
    {
        foreach (var type in Enum.GetValues<TensorType>().Where(type => type.SizeOf() > 0))
        {
            var right = 6 * type.SizeOf();
            foreach (var length in (int[])[0, 1, right - 1, right + 1, 2 * right])
                TensorAssert.Refused(RefusalKind.Invalid, () =>
                    RawTensorReader.Read("x", type, [2, 3], new byte[length], Limits)
                );
            Assert.Equal(right, RawTensorReader.Read("x", type, [2, 3], new byte[right], Limits).Data.Length);
        }
    }
}
