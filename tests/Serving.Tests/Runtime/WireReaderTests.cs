using Google.Protobuf;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Runtime;

/// <summary>The four kinds of fields as Google's own writer writes them, and messages that end too early.</summary>
public class WireReaderTests
{
    [Fact]
    public void Fields_are_read_as_they_were_written()
    {
        using var stream = new MemoryStream();
        var output = new CodedOutputStream(stream, leaveOpen: true);
        output.WriteTag(1, WireFormat.WireType.Varint);
        output.WriteUInt64(ulong.MaxValue);
        output.WriteTag(2, WireFormat.WireType.Fixed64);
        output.WriteDouble(1.5);
        output.WriteTag(3, WireFormat.WireType.Fixed32);
        output.WriteFloat(1.5f);
        output.WriteTag(2000, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFromUtf8("text"));
        output.Flush();
        var reader = new WireReader(stream.ToArray());
        Assert.True(reader.Next());
        Assert.Equal((1, ulong.MaxValue, false), (reader.Field, reader.Number, reader.HasLength));
        Assert.True(reader.Next());
        Assert.Equal((2, 0UL, false), (reader.Field, reader.Number, reader.HasLength));
        Assert.True(reader.Next());
        Assert.Equal(3, reader.Field);
        Assert.True(reader.Next());
        Assert.Equal((2000, true), (reader.Field, reader.HasLength));
        Assert.Equal("text"u8.ToArray(), reader.Bytes.ToArray());
        Assert.False(reader.Next());
    }

    [Theory]
    [InlineData(new byte[] { 0x08 })] // a number that is not there
    [InlineData(new byte[] { 0x08, 0x80 })] // that does not end
    [InlineData(new byte[] { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 })]
    [InlineData(new byte[] { 0x12, 0x05, 1, 2 })] // five bytes, and two are left
    [InlineData(new byte[] { 0x09, 1, 2, 3 })] // eight bytes, and three are left
    [InlineData(new byte[] { 0x0B })] // a group, which ONNX has not
    public void What_ends_too_early_is_refused(byte[] message) =>
        Assert.Throws<FormatException>(() =>
        {
            var reader = new WireReader(message);
            while (reader.Next()) { }
        });

    [Fact]
    public void Random_bytes_end_in_a_refusal_or_at_their_end()
    {
        var random = new Random(1);
        for (var round = 0; round < 5000; round++)
        {
            var message = new byte[random.Next(40)];
            random.NextBytes(message);
            try
            {
                var reader = new WireReader(message);
                while (reader.Next()) { }
            }
            catch (FormatException)
            {
                // told, and not read beyond
            }
        }
    }
}
