using Microsoft.Win32.SafeHandles;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Data;

/// <summary>Collects decoded pictures whose number is not known in advance: in memory, and beyond a limit in a file
/// that is deleted with the process.</summary>
/// <param name="stride">Bytes per picture.</param>
/// <param name="inMemory">Size in bytes up to which they stay in memory.</param>
internal sealed class PixelSpool(int stride, long inMemory = PixelSpool.MostInMemory)
{
    /// <summary>Size of the pixels, in bytes, up to which a set is held in memory.</summary>
    public const long MostInMemory = 512L << 20;
    private readonly List<byte[]> held = [];
    private SafeFileHandle? file;
    private int count;

    /// <summary>Adds the next picture; the array itself is kept.</summary>
    /// <exception cref="UserException">The disk is full.</exception>
    public void Add(byte[] planes)
    {
        if (planes.Length != stride)
            throw new ArgumentException($"{planes.Length} bytes, but a picture has {stride}", nameof(planes));
        held.Add(planes);
        count++;
        if (file is null && (long)count * stride <= inMemory)
            return;
        var opened = file ??= TemporaryFolder.OpenFile();
        TemporaryFolder.Guarded(() =>
        {
            for (var i = 0; i < held.Count; i++)
                RandomAccess.Write(opened, held[i], (long)(count - held.Count + i) * stride);
        });
        held.Clear();
    }

    /// <summary>Returns the pictures that were added.</summary>
    public PixelStore Finish()
    {
        if (file is not null)
            return new FilePixels(file, 0, count, stride);
        var pixels = new byte[(long)count * stride];
        for (var i = 0; i < count; i++)
            held[i].CopyTo(pixels, i * stride);
        return new MemoryPixels(pixels, count, stride);
    }
}
