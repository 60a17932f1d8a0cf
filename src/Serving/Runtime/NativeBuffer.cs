using System.Runtime.InteropServices;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// Aligned memory outside of the collector's heap, which grows as it is needed: a tensor may lie over it without
/// pinning.
/// </summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    /// <summary>Bytes of a cache line: what the widest vector instructions load at once.</summary>
    private const nuint Alignment = 64;

    /// <summary>The memory; null before the first use and after the last.</summary>
    private void* pointer;

    /// <summary>Its bytes.</summary>
    private long capacity;

    /// <summary>Where it is.</summary>
    public nint Pointer => (nint)pointer;

    /// <summary>Memory of this many bytes; what it held is lost.</summary>
    /// <param name="bytes">How many; 0 too gives a valid pointer.</param>
    public Span<byte> Take(long bytes)
    {
        if (bytes > capacity || pointer is null)
        {
            Free();
            capacity = Math.Max(bytes, (long)Alignment);
            pointer = NativeMemory.AlignedAlloc((nuint)capacity, Alignment);
        }

        return new Span<byte>(pointer, checked((int)bytes));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the memory.</summary>
    ~NativeBuffer() => Free();

    /// <summary>Frees the memory, if there is any.</summary>
    private void Free()
    {
        NativeMemory.AlignedFree(pointer);
        pointer = null;
        capacity = 0;
    }
}
