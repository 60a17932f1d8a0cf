using System.Buffers;
using System.Buffers.Binary;

namespace TorchBridge.Serving.Protocol;

/// <summary>Writes binary tensors in the format that <see cref="RawTensorReader"/> reads.</summary>
internal static class RawTensorWriter
{
    /// <summary>Size of a binary tensor in bytes.</summary>
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

    /// <summary>The bytes of a binary tensor.</summary>
    /// <param name="tensor">Any tensor; the result is a copy only for BYTES.</param>
    public static ReadOnlyMemory<byte> ToBytes(Tensor tensor)
    {
        if (tensor.Type != TensorType.Bytes)
            return tensor.Data;
        var writer = new ArrayBufferWriter<byte>((int)SizeOf(tensor) + 1);
        Write(tensor, writer);
        return writer.WrittenMemory;
    }
}
