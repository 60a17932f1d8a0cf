namespace TorchBridge.Serving.Tests.Protocol;

public class BinaryBodyTests
{
    private static readonly ProtocolLimits Limits = new();

    [Theory]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData(" 1")]
    [InlineData("1 ")]
    [InlineData("1.0")]
    [InlineData("0x1")]
    [InlineData("1e1")]
    [InlineData("")]
    [InlineData("many")]
    [InlineData("١")] // a digit, but not ours
    [InlineData("101")]
    [InlineData("99999999999")]
    [InlineData("4294967297")]
    [InlineData("18446744073709551617")]
    [InlineData("00000000000000000000000001")]
    public void A_length_that_is_none_is_refused(string value) =>
        TensorAssert.Refused(RefusalKind.Invalid, () => BinaryBody.ReadLength([value], 100));

    [Fact]
    public void Two_lengths_are_refused() =>
        TensorAssert.Refused(RefusalKind.Invalid, () => BinaryBody.ReadLength(["1", "2"], 100));

    [Fact]
    public void A_length_is_read()
    {
        Assert.Null(BinaryBody.ReadLength([], 100));
        Assert.Equal(0, BinaryBody.ReadLength(["0"], 100));
        Assert.Equal(100, BinaryBody.ReadLength(["100"], 100));
    }

    [Fact]
    public void A_raw_request_is_a_batch_of_one()
    {
        Assert.Equal([1, 3, 2], Raw(24, batched: true, TensorSpec.Free, 3, 2).Shape);
        Assert.Equal([1, 3, 4], Raw(48, batched: true, TensorSpec.Free, 3, TensorSpec.Free).Shape);
        Assert.Equal([5], Raw(20, batched: false, TensorSpec.Free).Shape);
        Refused(23, true, TensorSpec.Free, 3, 2);
        Refused(50, true, TensorSpec.Free, 3, TensorSpec.Free);
        Refused(48, true, TensorSpec.Free, TensorSpec.Free, TensorSpec.Free);
        Refused(8, true, TensorSpec.Free, 0, TensorSpec.Free);
        TensorSpec[] two = [new("a", TensorType.FP32, [1]), new("b", TensorType.FP32, [1])];
        TensorAssert.Refused(RefusalKind.Invalid, () => BinaryBody.ReadRaw(new byte[4], two, true, Limits));
    }

    [Fact]
    public void A_raw_request_of_BYTES_is_one_element_without_a_length()
    {
        var request = BinaryBody.ReadRaw(
            "cat"u8.ToArray(),
            [new("x", TensorType.Bytes, [TensorSpec.Free, 1])],
            true,
            Limits
        );
        Assert.Equal([1, 1], request.Inputs[0].Shape);
        Assert.Equal("cat"u8.ToArray(), request.Inputs[0].Strings.Single().ToArray());
        Assert.True(request.BinaryByDefault);
        TensorAssert.Refused(RefusalKind.Invalid, () =>
            BinaryBody.ReadRaw("cat"u8.ToArray(), [new("x", TensorType.Bytes, [TensorSpec.Free, 2])], true, Limits)
        );
    }

    private static Tensor Raw(int bytes, bool batched, params long[] shape) =>
        BinaryBody.ReadRaw(new byte[bytes], [new("x", TensorType.FP32, shape)], batched, Limits).Inputs[0];

    private static void Refused(int bytes, bool batched, params long[] shape) =>
        TensorAssert.Refused(RefusalKind.Invalid, () => Raw(bytes, batched, shape));
}
