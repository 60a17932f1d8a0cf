using System.Runtime.InteropServices;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Graph;

/// <summary>Numbers of a tensor lie in raw_data or in the field of their type: both must give the same bytes.</summary>
public class TensorFieldsTests
{
    [Fact]
    public void Fields_of_every_width_are_packed_as_raw_data_would_be()
    {
        Assert.Equal(
            [1.5f, -2f],
            Read<float>(new() { DataType = (int)ElementType.Float32, FloatData = { 1.5f, -2f } })
        );
        Assert.Equal([1.5], Read<double>(new() { DataType = (int)ElementType.Float64, DoubleData = { 1.5 } }));
        Assert.Equal([-3L], Read<long>(new() { DataType = (int)ElementType.Int64, Int64Data = { -3 } }));
        Assert.Equal([7u], Read<uint>(new() { DataType = (int)ElementType.UInt32, Uint64Data = { 7 } }));
        Assert.Equal([(sbyte)-3], Read<sbyte>(new() { DataType = (int)ElementType.Int8, Int32Data = { -3 } }));
        Assert.Equal([(short)-300], Read<short>(new() { DataType = (int)ElementType.Int16, Int32Data = { -300 } }));
        // A half lies as its 16 bits in int32_data.
        Assert.Equal([(Half)0.5], Read<Half>(new() { DataType = (int)ElementType.Float16, Int32Data = { 0x3800 } }));
    }

    [Theory]
    [InlineData(1, new long[] { 2, -1 }, "negative")]
    [InlineData(2, new long[] { 3 }, "needs 12 bytes; the file holds 8")]
    [InlineData(2, new long[] { 1L << 40, 1L << 40 }, "2 GB")]
    public void Sizes_that_the_numbers_do_not_fill_are_refused(int numbers, long[] dims, string said)
    {
        var tensor = new TensorProto
        {
            Name = "w",
            DataType = (int)ElementType.Float32,
            Dims = { dims },
        };
        tensor.FloatData.AddRange(new float[numbers]);
        var error = Assert.Throws<InvalidDataException>(() => TensorFields.Check(tensor));
        Assert.Contains("'w'", error.Message, StringComparison.Ordinal);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_axis_of_nothing_empties_any_size()
    {
        var tensor = new TensorProto { DataType = (int)ElementType.Float32, Dims = { 1L << 60, 1L << 60, 0 } };
        Assert.Equal(0, TensorFields.ByteCount(tensor, sizeof(float)));
        TensorFields.Check(tensor);
    }

    private static T[] Read<T>(TensorProto tensor)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(TensorFields.Bytes(tensor).Span).ToArray();
}
