using System.Buffers;
using TorchBridge.Export.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Onnx;

/// <summary>
/// Exposes the memory of a contiguous CPU tensor as <see cref="Memory{T}"/>, so that a model's weights are written
/// without a copy.
/// </summary>
/// <param name="tensor">A contiguous CPU tensor; it must outlive all readers of the memory.</param>
internal sealed unsafe class TensorMemoryManager(Tensor tensor) : MemoryManager<byte>
{
    /// <summary>Size of the tensor in bytes; a span holds at most 2 GiB, and more throws an overflow exception
    /// here.</summary>
    private readonly int length = checked((int)(tensor.numel() * tensor.element_size()));

    public override Span<byte> GetSpan() =>
        tensor.IsInvalid
            ? throw new ObjectDisposedException(nameof(tensor))
            : new((void*)TensorMemory.Address(tensor), length);

    public override MemoryHandle Pin(int elementIndex = 0) => new((byte*)TensorMemory.Address(tensor) + elementIndex);

    public override void Unpin()
    {
        // Native memory does not move, so there is nothing to pin.
    }

    protected override void Dispose(bool disposing)
    {
        // The tensor belongs to the model.
    }
}
