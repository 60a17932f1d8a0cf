using Microsoft.Win32.SafeHandles;

namespace TorchBridge.Training.Data;

/// <summary>Pixels of pictures of one size, one picture after another: in memory, or in a file that is read picture
/// by picture, so that a set of any size needs no more memory than one batch.</summary>
internal abstract class PixelStore
{
    /// <summary>Creates a store.</summary>
    /// <param name="count">Number of pictures.</param>
    /// <param name="stride">Bytes per picture.</param>
    protected PixelStore(int count, int stride)
    {
        Count = count;
        Stride = stride;
    }

    /// <summary>Number of pictures.</summary>
    public int Count { get; }

    /// <summary>Bytes per picture.</summary>
    public int Stride { get; }

    /// <summary>All bytes in one array, or null if they are in a file.</summary>
    public virtual byte[]? Array => null;

    /// <summary>The bytes of a picture: in place, or read into a buffer, which is created if it is null.</summary>
    /// <param name="index">Index of the picture.</param>
    /// <param name="buffer">The caller's buffer; its previous contents are overwritten.</param>
    public abstract ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer);
}

/// <summary>Pixels in memory.</summary>
/// <param name="pixels">The pixels.</param>
/// <param name="count">Number of pictures.</param>
/// <param name="stride">Bytes per picture.</param>
internal sealed class MemoryPixels(byte[] pixels, int count, int stride) : PixelStore(count, stride)
{
    /// <inheritdoc/>
    public override byte[] Array => pixels;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Read(int index, scoped ref byte[]? buffer) =>
        pixels.AsSpan(index * Stride, Stride);
}

/// <summary>Pixels in a file. It is read, not memory-mapped, because mapped pages count as memory of the
/// process.</summary>
/// <param name="file">A file that is open for reading from any thread.</param>
/// <param name="offset">Offset of the first picture.</param>
/// <param name="count">Number of pictures.</param>
/// <param name="stride">Bytes per picture.</param>
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

    /// <summary>Fills a buffer from an offset in a file.</summary>
    /// <exception cref="EndOfStreamException">The file is shorter.</exception>
    public static void ReadAll(SafeFileHandle file, Span<byte> target, long at)
    {
        while (target.Length > 0)
        {
            var read = RandomAccess.Read(file, target, at);
            if (read == 0)
                throw new EndOfStreamException("the file of decoded pictures has been truncated");
            target = target[read..];
            at += read;
        }
    }
}
