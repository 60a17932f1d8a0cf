using System.Buffers;
using System.Buffers.Binary;

namespace TorchBridge.Serving.Protocol;

/// <summary>Writes binary tensors.</summary>
internal static class RawTensorWriter
{
    /// <summary>Bytes that a tensor takes.</summary>
    public static long SizeOf(Tensor tensor) =>
        tensor.Type == TensorType.Bytes
            ? tensor.Strings.Sum(item => sizeof(uint) + (long)item.Length)
            : tensor.Data.Length;

    /// <summary>Writes a tensor.</summary>
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
    public static ReadOnlyMemory<byte> ToBytes(Tensor tensor)
    {
        if (tensor.Type != TensorType.Bytes)
            return tensor.Data;
        var writer = new ArrayBufferWriter<byte>((int)SizeOf(tensor) + 1);
        Write(tensor, writer);
        return writer.WrittenMemory;
    }
}
