using System.Buffers;
using System.Buffers.Binary;

namespace TorchBridge.Serving.Protocol;

/// <summary>Writes binary tensors, as <see cref="RawTensorReader"/> reads them.</summary>
internal static class RawTensorWriter
{
    /// <summary>Bytes that a tensor takes.</summary>
    /// <param name="tensor">Any tensor.</param>
    public static long SizeOf(Tensor tensor) =>
        tensor.Type == TensorType.Bytes
            ? tensor.Strings.Sum(item => sizeof(uint) + (long)item.Length)
            : tensor.Data.Length;

    /// <summary>Writes a tensor.</summary>
    /// <param name="tensor">Any tensor.</param>
    /// <param name="target">Receives its bytes.</param>
    public static void Write(Tensor tensor, IBufferWriter<byte> target)
    {
        if (tensor.Type != TensorType.Bytes)
        {
            target.Write(tensor.Data.Span);
            return;
        }

        foreach (var item in tensor.Strings)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(target.GetSpan(sizeof(uint)), (uint)item.Length);
            target.Advance(sizeof(uint));
            target.Write(item.Span);
        }
    }

    /// <summary>A tensor as bytes of its own.</summary>
    /// <param name="tensor">Any tensor; but for BYTES its own memory is given back.</param>
    public static ReadOnlyMemory<byte> ToBytes(Tensor tensor)
    {
        if (tensor.Type != TensorType.Bytes)
            return tensor.Data;
        var writer = new ArrayBufferWriter<byte>((int)SizeOf(tensor) + 1);
        Write(tensor, writer);
        return writer.WrittenMemory;
    }
}
