using Microsoft.Win32.SafeHandles;

namespace TorchBridge.Training.Data;

/// <summary>Pixels of pictures of one size, one picture after another: in memory, or in a file that is read picture by
/// picture, so that a set of any size takes no more memory than a batch of it.</summary>
internal abstract class PixelStore
{
    /// <summary>Makes a store.</summary>
    /// <param name="count">Pictures.</param>
    /// <param name="stride">Bytes of one.</param>
    protected PixelStore(int count, int stride)
    {
        Count = count;
        Stride = stride;
    }

    /// <summary>How many pictures there are.</summary>
    public int Count { get; }

    /// <summary>Bytes of one.</summary>
    public int Stride { get; }

    /// <summary>All bytes in one array, or null where they are in a file.</summary>
    public virtual byte[]? Array => null;

    /// <summary>The bytes of a picture: where they are, or read into a buffer, which is made where there is
    /// none.</summary>
    /// <param name="index">Which picture.</param>
    /// <param name="buffer">The caller's; what was given out before from it is overwritten.</param>
    public abstract ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer);
}

/// <summary>Pixels in memory.</summary>
/// <param name="pixels">All of them.</param>
/// <param name="count">Pictures.</param>
/// <param name="stride">Bytes of one.</param>
internal sealed class MemoryPixels(byte[] pixels, int count, int stride) : PixelStore(count, stride)
{
    /// <inheritdoc/>
    public override byte[] Array => pixels;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer) =>
        pixels.AsSpan(index * Stride, Stride);
}

/// <summary>Pixels in a file. It is read, not mapped: mapped pages count as the process's memory.</summary>
/// <param name="file">Open for reading, from any thread.</param>
/// <param name="offset">Where the first picture begins.</param>
/// <param name="count">Pictures.</param>
/// <param name="stride">Bytes of one.</param>
internal sealed class FilePixels(SafeFileHandle file, long offset, int count, int stride) : PixelStore(count, stride)
{
    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        if (buffer?.Length != Stride)
            buffer = new byte[Stride];
        ReadAll(file, buffer, offset + ((long)index * Stride));
        return buffer;
    }

    /// <summary>Fills a buffer from a place in a file.</summary>
    /// <exception cref="EndOfStreamException">The file is shorter.</exception>
    public static void ReadAll(SafeFileHandle file, Span<byte> target, long at)
    {
        while (target.Length > 0)
        {
            var read = RandomAccess.Read(file, target, at);
            if (read == 0)
                throw new EndOfStreamException("the file of decoded pictures is shorter than it was");
            target = target[read..];
            at += read;
        }
    }
}
