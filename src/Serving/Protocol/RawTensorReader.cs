// A binary tensor holds its elements in little-endian, row-major order without padding. A BOOL is one byte, 0 or 1;
// an element of BYTES is its length (unsigned, 32 bits) followed by its bytes. Source: the binary tensor data
// extension of the protocol.
using System.Buffers.Binary;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Reads binary tensors without copying them.</summary>
internal static class RawTensorReader
{
    /// <summary>Reads a tensor.</summary>
    /// <param name="name">Name of the input.</param>
    /// <param name="type">Datatype of the input.</param>
    /// <param name="shape">Shape of the input.</param>
    /// <param name="raw">The tensor's bytes; the result refers to them.</param>
    /// <param name="limits">What is too large.</param>
    /// <exception cref="RequestRefusedException">The bytes do not fit shape and datatype.</exception>
    public static Tensor Read(
        string name,
        TensorType type,
        long[] shape,
        ReadOnlyMemory<byte> raw,
        ProtocolLimits limits
    )
    {
        var tensor = $"input '{name}'";
        var count = ShapeRules.Count(shape, type, limits, tensor);
        if (type == TensorType.Bytes)
            return Tensor.OfStrings(name, shape, ReadStrings(raw, count, tensor));
        if (raw.Length != count * type.SizeOf())
            throw Invalid(
                $"{tensor} has {raw.Length} bytes; {ShapeRules.Text(shape)} of {type.NameOf()} needs {count * type.SizeOf()}"
            );
        if (type == TensorType.Bool && raw.Span.IndexOfAnyExceptInRange((byte)0, (byte)1) is >= 0 and var at)
            throw Invalid($"{tensor} holds {raw.Span[at]} at element {at}; a BOOL is 0 or 1");
        return new Tensor(name, type, shape) { Data = raw };
    }

    /// <summary>Splits the bytes into the elements of a BYTES tensor.</summary>
    /// <param name="raw">The elements, each preceded by its length in four bytes.</param>
    /// <param name="count">Number of elements according to the shape.</param>
    /// <param name="tensor">Description of the tensor, for error messages.</param>
    private static ReadOnlyMemory<byte>[] ReadStrings(ReadOnlyMemory<byte> raw, long count, string tensor)
    {
        if (count > raw.Length / sizeof(uint))
            throw Invalid($"{tensor} has {raw.Length} bytes, too few for {count} elements of BYTES");
        var strings = new ReadOnlyMemory<byte>[count];
        var at = 0;
        for (var index = 0; index < strings.Length; index++)
        {
            if (raw.Length - at < sizeof(uint))
                throw Invalid($"{tensor} ends before the length of element {index}");
            var length = BinaryPrimitives.ReadUInt32LittleEndian(raw.Span[at..]);
            at += sizeof(uint);
            if (length > raw.Length - at)
                throw Invalid($"{tensor}: element {index} claims {length} bytes, but only {raw.Length - at} are left");
            strings[index] = raw.Slice(at, (int)length);
            at += (int)length;
        }

        return at == raw.Length
            ? strings
            : throw Invalid($"{tensor} has {raw.Length - at} bytes more than its {count} elements");
    }
}
