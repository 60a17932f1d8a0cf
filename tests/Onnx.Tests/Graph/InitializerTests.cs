using System.Runtime.InteropServices;
using Google.Protobuf;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Graph;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Tests.Graph;

public class InitializerTests
{
    [Fact]
    public void Every_field_that_elements_may_stand_in_gives_the_bytes_of_raw_data()
    {
        var random = new Random(9);
        foreach (var type in Enum.GetValues<ElementType>().Where(type => ElementTypes.SizeOf(type) is not null))
        {
            var bytes = new byte[6 * ElementTypes.SizeOf(type)!.Value];
            random.NextBytes(bytes);
            if (type == ElementType.Bool)
                bytes = [.. bytes.Select(value => (byte)(value & 1))];
            var raw = new TensorProto
            {
                Name = "raw",
                DataType = (int)type,
                Dims = { 2, 3 },
                RawData = ByteString.CopyFrom(bytes),
            };
            var typed = new TensorProto
            {
                Name = "typed",
                DataType = (int)type,
                Dims = { 2, 3 },
            };
            Fill(typed, type, bytes);
            TensorFields.Check(raw);
            TensorFields.Check(typed);
            Assert.Equal(bytes, Initializer.Of(raw).Data.ToArray());
            Assert.Equal(bytes, Initializer.Of(typed).Data.ToArray());
            Assert.Equal(6, Initializer.Of(typed).Count);
        }
    }

    [Fact]
    public void A_tensor_that_was_read_is_written_as_it_stood_until_its_data_are_changed()
    {
        var stored = Initializer.Of(
            new TensorProto
            {
                Name = "w",
                DataType = 1,
                Dims = { 2 },
                FloatData = { 1, 2 },
                DocString = "doc",
            }
        );
        Assert.Equal([1f, 2f], stored.Floats());
        Assert.Equal("doc", Written(stored with { Name = "v" }).DocString);
        Assert.Equal("v", Written(stored with { Name = "v" }).Name);
        var changed = Written(stored with { Data = new byte[8] });
        Assert.Equal(new byte[8], changed.RawData.ToByteArray());
        Assert.Empty(changed.FloatData);
        Assert.Equal([2L], changed.Dims);
    }

    [Fact]
    public void Data_are_not_copied()
    {
        var data = new byte[8];
        var tensor = new Initializer("w", ElementType.Float32, [2], data);
        data[3] = 0x40;
        Assert.Equal([2f, 0f], tensor.Floats());
        Assert.Equal(0x40, Written(tensor).RawData[3]);
    }

    [Fact]
    public void Texts_have_no_bytes()
    {
        var texts = Initializer.Of("names", ["a", "ü"]);
        Assert.Equal((ElementType.Text, 2L), (texts.Type, texts.Count));
        Assert.Contains(
            "'names'",
            Assert.Throws<InvalidDataException>(() => texts.Data).Message,
            StringComparison.Ordinal
        );
        Assert.Equal("ü", Written(texts).StringData[1].ToStringUtf8());
    }

    private static TensorProto Written(Initializer tensor)
    {
        var graph = new OnnxGraph { Opset = 17 };
        graph.Add(tensor);
        return Assert.Single(OnnxWriter.ToProto(graph).Graph.Initializer);
    }

    private static void Fill(TensorProto tensor, ElementType type, byte[] bytes)
    {
        switch (type)
        {
            case ElementType.Float32 or ElementType.Complex64:
                tensor.FloatData.Add(MemoryMarshal.Cast<byte, float>(bytes).ToArray());
                break;
            case ElementType.Float64 or ElementType.Complex128:
                tensor.DoubleData.Add(MemoryMarshal.Cast<byte, double>(bytes).ToArray());
                break;
            case ElementType.Int64:
                tensor.Int64Data.Add(MemoryMarshal.Cast<byte, long>(bytes).ToArray());
                break;
            case ElementType.UInt64:
                tensor.Uint64Data.Add(MemoryMarshal.Cast<byte, ulong>(bytes).ToArray());
                break;
            case ElementType.UInt32:
                tensor.Uint64Data.Add(MemoryMarshal.Cast<byte, uint>(bytes).ToArray().Select(value => (ulong)value));
                break;
            case ElementType.Int32:
                tensor.Int32Data.Add(MemoryMarshal.Cast<byte, int>(bytes).ToArray());
                break;
            case ElementType.Int16:
                tensor.Int32Data.Add(MemoryMarshal.Cast<byte, short>(bytes).ToArray().Select(value => (int)value));
                break;
            case ElementType.Int8:
                tensor.Int32Data.Add(MemoryMarshal.Cast<byte, sbyte>(bytes).ToArray().Select(value => (int)value));
                break;
            case ElementType.UInt8 or ElementType.Bool:
                tensor.Int32Data.Add(bytes.Select(value => (int)value));
                break;
            default:
                tensor.Int32Data.Add(MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(value => (int)value));
                break;
        }
    }
}
