using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests.Pictures;

public class EncodedBytesTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(200_000)]
    public void A_stream_is_read_to_its_end_whether_it_knows_its_length_or_not(int count)
    {
        var bytes = new byte[count];
        new Random(3).NextBytes(bytes);
        Assert.Equal(bytes, EncodedBytes.Read(new MemoryStream(bytes), "a picture"));
        using var unknown = new System.IO.Compression.BrotliStream(
            Compressed(bytes),
            System.IO.Compression.CompressionMode.Decompress
        );
        Assert.Equal(bytes, EncodedBytes.Read(unknown, "a picture"));
    }

    [Fact]
    public void Reading_begins_where_the_stream_stands()
    {
        using var stream = new MemoryStream([1, 2, 3]) { Position = 1 };
        Assert.Equal([2, 3], EncodedBytes.Read(stream, "a picture"));
    }

    private static MemoryStream Compressed(byte[] bytes)
    {
        var target = new MemoryStream();
        using (
            var brotli = new System.IO.Compression.BrotliStream(
                target,
                System.IO.Compression.CompressionLevel.Fastest,
                leaveOpen: true
            )
        )
            brotli.Write(bytes);
        target.Position = 0;
        return target;
    }
}
