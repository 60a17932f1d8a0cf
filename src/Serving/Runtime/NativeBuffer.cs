using System.Runtime.InteropServices;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// Aligned native memory that grows as needed. Since the garbage collector never moves it, tensors can refer to it
/// without pinning.
/// </summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    /// <summary>Alignment in bytes: a cache line, which is also the widest vector register.</summary>
    private const nuint Alignment = 64;

    /// <summary>The memory; null before the first use and after disposal.</summary>
    private void* pointer;

    /// <summary>Size of the memory in bytes.</summary>
    private long capacity;

    /// <summary>Address of the memory.</summary>
    public nint Pointer => (nint)pointer;

    /// <summary>Returns memory of the given size; its previous content may be lost.</summary>
    /// <param name="bytes">Number of bytes; for 0 the pointer is valid, too.</param>
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
