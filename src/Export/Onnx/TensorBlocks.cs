using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>
/// Reads and fills large tensors block by block: a block and its copy in float64 stay in the processor's cache, no
/// array is allocated, and a tensor may have more than 2 GB.
/// </summary>
internal static class TensorBlocks
{
    /// <summary>Number of elements of a block; the last one is shorter.</summary>
    public const int Elements = 1 << 16;

    /// <summary>A tensor's elements in C order, on the CPU, without gradients.</summary>
    /// <param name="tensor">A tensor on any device, with any layout.</param>
    /// <returns>A tensor with one axis; the current dispose scope owns it.</returns>
    public static Tensor Flat(Tensor tensor) => tensor.detach().cpu().contiguous().flatten();

    /// <summary>The block that begins at an element.</summary>
    /// <param name="flat">A tensor from <see cref="Flat"/>.</param>
    /// <param name="start">Index of the block's first element.</param>
    /// <param name="length">Number of elements, fewer at the end.</param>
    /// <returns>A view; the current dispose scope owns it.</returns>
    public static Tensor At(Tensor flat, long start, long length = Elements) =>
        flat.narrow(0, start, Math.Min(length, flat.numel() - start));

    /// <summary>The elements in float64; valid until the current dispose scope ends.</summary>
    /// <param name="block">A block of any dtype.</param>
    public static ReadOnlySpan<double> Doubles(Tensor block) =>
        MemoryMarshal.Cast<byte, double>(block.to(ScalarType.Float64).bytes);

    /// <summary>The elements as 64-bit integers; valid until the current dispose scope ends.</summary>
    /// <param name="block">A block of integers or booleans.</param>
    public static ReadOnlySpan<long> Integers(Tensor block) =>
        MemoryMarshal.Cast<byte, long>(block.to(ScalarType.Int64).bytes);

    /// <summary>The elements of a block of float64, to be written; valid until the current dispose scope ends.</summary>
    /// <param name="block">A block in float64.</param>
    public static Span<double> Writable(Tensor block) => MemoryMarshal.Cast<byte, double>(block.bytes);
}
