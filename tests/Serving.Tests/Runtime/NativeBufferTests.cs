using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Tests.Runtime;

public class NativeBufferTests
{
    [Fact]
    public void Memory_is_aligned_grows_and_is_used_again()
    {
        using var buffer = new NativeBuffer();
        foreach (var bytes in (int[])[0, 1, 64, 65, 100_000])
        {
            var span = buffer.Take(bytes);
            Assert.Equal(bytes, span.Length);
            Assert.Equal(0, buffer.Pointer % 64);
            span.Fill(7);
        }

        var place = buffer.Pointer;
        Assert.Equal(7, buffer.Take(10)[0]);
        Assert.Equal(place, buffer.Pointer);
        buffer.Dispose();
        Assert.Equal(0, buffer.Pointer);
    }
}
