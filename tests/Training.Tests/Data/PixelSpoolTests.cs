using TorchBridge.Training.Data;
using Xunit;

namespace TorchBridge.Training.Tests.Data;

/// <summary>Wherever pixels are stored, they are returned unchanged.</summary>
public class PixelSpoolTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(47)]
    [InlineData(48)]
    [InlineData(1000)]
    public void Pictures_come_back_in_their_order(long inMemory)
    {
        var spool = new PixelSpool(12, inMemory);
        byte[][] pictures = [.. Enumerable.Range(0, 4).Select(i => Enumerable.Repeat((byte)(7 * i), 12).ToArray())];
        foreach (var picture in pictures)
            spool.Add(picture);
        var store = spool.Finish();
        Assert.Equal((4, 12), (store.Count, store.Stride));
        Assert.Equal(inMemory >= 48, store.Array is not null);
        byte[]? buffer = null;
        foreach (var i in (int[])[3, 0, 2, 1])
            Assert.Equal(pictures[i], store.Read(i, ref buffer).ToArray());
    }

    [Fact]
    public void Nothing_is_a_store_of_nothing() => Assert.Equal(0, new PixelSpool(12).Finish().Count);

    [Fact]
    public void A_picture_of_another_size_is_refused() =>
        Assert.Throws<ArgumentException>(() => new PixelSpool(12).Add(new byte[11]));
}
