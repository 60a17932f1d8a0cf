using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchBridge.Serving.Tests.Protocol;

public class JsonReplyWriterTests
{
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_JSON_cannot_say_is_refused_and_binary_says_it(float value)
    {
        var tensor = Floats("y", [1, 2], 1, value);
        Assert.Contains(
            "binary_data",
            TensorAssert.Refused(RefusalKind.Invalid, () => Write(tensor, binary: false)),
            StringComparison.Ordinal
        );
        Assert.Equal(tensor.Data.ToArray(), Write(tensor, binary: true)[^8..]);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused_as_JSON() =>
        TensorAssert.Refused(RefusalKind.Invalid, () =>
            Write(Tensor.OfStrings("y", [1], [new byte[] { 0xff }]), binary: false)
        );

    [Fact]
    public void Classes_are_the_largest_values_of_each_row()
    {
        string[] labels = ["cat", "dog", "a:b"];
        var tensor = Floats("y", [2, 4], 0.1f, 0.25f, 0.6f, 0.05f, 3, 3, -1, 9);
        Assert.Equal(
            ["0.600000:2:a:b", "0.250000:1:dog", "9.000000:3", "3.000000:0:cat"],
            Texts(Classification.Of(tensor, 2, labels, isBatched: true))
        );
        Assert.Equal([2, 2], Classification.Of(tensor, 2, labels, isBatched: true).Shape);
        Assert.Equal([8], Classification.Of(tensor, 100, labels, isBatched: false).Shape);
        Assert.Equal("9.000000:7", Texts(Classification.Of(tensor, 1, [], isBatched: false)).Single());
    }

    [Fact]
    public void NaN_is_never_the_first_class() =>
        Assert.Equal(
            ["1.000000:1", "0.500000:2", "NaN:0"],
            Texts(Classification.Of(Floats("y", [1, 3], float.NaN, 1, 0.5f), 3, [], isBatched: true))
        );

    [Fact]
    public void Whole_numbers_are_written_as_they_are_and_texts_have_no_classes()
    {
        var longs = new Tensor("y", TensorType.Int64, [1, 2]) { Data = MemoryMarshal.AsBytes<long>([4, 7]).ToArray() };
        Assert.Equal(["7:1", "4:0"], Texts(Classification.Of(longs, 2, [], isBatched: true)));
        TensorAssert.Refused(RefusalKind.Invalid, () =>
            Classification.Of(Tensor.OfStrings("y", [1], [default]), 1, [], true)
        );
    }

    private static Tensor Floats(string name, long[] shape, params float[] values) =>
        new(name, TensorType.FP32, shape) { Data = MemoryMarshal.AsBytes(values.AsSpan()).ToArray() };

    private static byte[] Write(Tensor tensor, bool binary)
    {
        var target = new ArrayBufferWriter<byte>();
        JsonReplyWriter.Write(
            new InferenceReply("m", "1", null, InferenceRequest.NoParameters, [(tensor, binary)]),
            target
        );
        return target.WrittenSpan.ToArray();
    }

    private static string[] Texts(Tensor tensor) =>
        [.. tensor.Strings.Select(item => Encoding.UTF8.GetString(item.Span))];
}
