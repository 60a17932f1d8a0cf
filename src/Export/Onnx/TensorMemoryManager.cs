using System.Buffers;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>
/// A contiguous CPU tensor's own memory as <see cref="Memory{T}"/>: a model's weights are written from where they
/// stand, without a copy.
/// </summary>
/// <param name="tensor">Contiguous, on the processor; it must outlive whoever reads this.</param>
internal sealed unsafe class TensorMemoryManager(Tensor tensor) : MemoryManager<byte>
{
    /// <summary>Bytes of the tensor; a span holds 2 GiB at most, and more is an overflow here.</summary>
    private readonly int length = checked((int)(tensor.numel() * tensor.element_size()));

    public override Span<byte> GetSpan() =>
        tensor.IsInvalid
            ? throw new ObjectDisposedException(nameof(tensor))
            : new((void*)TensorMemory.Address(tensor), length);

    public override MemoryHandle Pin(int elementIndex = 0) => new((byte*)TensorMemory.Address(tensor) + elementIndex);

    public override void Unpin()
    {
        // Native memory does not move.
    }

    protected override void Dispose(bool disposing)
    {
        // The tensor is the model's.
    }
}
