using System.Runtime.InteropServices;
using Google.Protobuf.Collections;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>The elements of a tensor's message: raw bytes, or one of the fields that older writers fill.</summary>
internal static class TensorFields
{
    /// <summary>The elements, little-endian in C order; not copied where the message has them so.</summary>
    /// <param name="tensor">A message whose data are not in a data file.</param>
    /// <returns>As many bytes as the fields hold; <see cref="Check"/> says whether that is what the sizes ask
    /// for.</returns>
    /// <exception cref="InvalidDataException">The type is text, or one that packs several elements into a
    /// byte.</exception>
    public static ReadOnlyMemory<byte> Bytes(TensorProto tensor) =>
        tensor.RawData.Length > 0
            ? tensor.RawData.Memory
            : (ElementType)tensor.DataType switch
            {
                ElementType.Float32 or ElementType.Complex64 => Copy(tensor.FloatData, value => value),
                ElementType.Float64 or ElementType.Complex128 => Copy(tensor.DoubleData, value => value),
                ElementType.Int64 => Copy(tensor.Int64Data, value => value),
                ElementType.UInt64 => Copy(tensor.Uint64Data, value => value),
                ElementType.UInt32 => Copy(tensor.Uint64Data, value => (uint)value),
                ElementType.Int32 => Copy(tensor.Int32Data, value => value),
                ElementType.Int16 or ElementType.UInt16 or ElementType.Float16 or ElementType.BFloat16 => Copy(
                    tensor.Int32Data,
                    value => (ushort)value
                ),
                ElementType.Int8 or ElementType.UInt8 or ElementType.Bool => Copy(tensor.Int32Data, value =>
                    (byte)value
                ),
                var other => throw new InvalidDataException(
                    $"the elements of tensor '{tensor.Name}' are {other}, which cannot be read as numbers"
                ),
            };

    /// <summary>Checks that a tensor holds as many elements as its sizes say.</summary>
    /// <param name="tensor">A message whose data are not in a data file.</param>
    /// <exception cref="InvalidDataException">It does not, or its sizes are negative or too large.</exception>
    public static void Check(TensorProto tensor)
    {
        if (tensor.Dims.Any(size => size < 0))
            throw new InvalidDataException($"tensor '{tensor.Name}' has a negative size: [{Shape(tensor)}]");
        if (ElementTypes.SizeOf((ElementType)tensor.DataType) is not { } size)
            return; // the runtime judges the types that are not read here
        if (ByteCount(tensor, size) is not { } needed)
            throw new InvalidDataException($"the sizes of tensor '{tensor.Name}' are beyond 2 GB: [{Shape(tensor)}]");
        var held = Bytes(tensor).Length;
        if (held == needed)
            return;
        throw new InvalidDataException(
            FormattableString.Invariant(
                $"tensor '{tensor.Name}' is [{Shape(tensor)}] of {(ElementType)tensor.DataType}, {needed} bytes, and the file holds {held}"
            )
        );
    }

    /// <summary>The bytes that a tensor's sizes ask for; null beyond 2 GB.</summary>
    /// <param name="tensor">Its sizes count; its elements are not looked at.</param>
    /// <param name="elementSize">Bytes of an element.</param>
    /// <returns>0 where one of the sizes is 0.</returns>
    public static long? ByteCount(TensorProto tensor, int elementSize)
    {
        Int128 count = elementSize;
        foreach (var size in tensor.Dims)
        {
            if (size == 0)
                return 0;
            if (count <= int.MaxValue)
                count *= size;
        }

        return count <= int.MaxValue ? (long)count : null;
    }

    /// <summary>The sizes, for an error.</summary>
    /// <param name="tensor">For an error.</param>
    private static string Shape(TensorProto tensor) => string.Join(", ", tensor.Dims);

    /// <summary>
    /// The bytes of a typed field, each element converted to what the file's type is.
    /// </summary>
    private static ReadOnlyMemory<byte> Copy<TFrom, TTo>(RepeatedField<TFrom> field, Func<TFrom, TTo> convert)
        where TTo : unmanaged
    {
        var values = new TTo[field.Count];
        for (var index = 0; index < values.Length; index++)
            values[index] = convert(field[index]);
        return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }
}
