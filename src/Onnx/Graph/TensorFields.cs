using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf.Collections;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Reads the elements of a tensor's protobuf message: its raw bytes, or one of the typed fields that older writers
/// fill.
/// </summary>
internal static class TensorFields
{
    /// <summary>
    /// The elements, little-endian in C order; they are not copied if the message holds them as raw bytes.
    /// </summary>
    /// <param name="tensor">A message whose data are not in a data file.</param>
    /// <returns>All bytes that the message holds; <see cref="Check"/> verifies that their number fits the
    /// shape.</returns>
    /// <exception cref="InvalidDataException">The elements are text, or of a type that packs several of them into a
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

    /// <summary>Checks that a tensor holds as many elements as its shape says.</summary>
    /// <param name="tensor">A message whose data are not in a data file.</param>
    /// <exception cref="InvalidDataException">The number of bytes does not fit the shape, or a size is negative or
    /// too large.</exception>
    public static void Check(TensorProto tensor)
    {
        if (tensor.Dims.Any(size => size < 0))
            throw new InvalidDataException($"tensor '{tensor.Name}' has a negative size: [{Shape(tensor)}]");
        if (ElementTypes.SizeOf((ElementType)tensor.DataType) is not { } size)
            return; // types that are not decoded here are left for the runtime to check
        if (ByteCount(tensor, size) is not { } needed)
            throw new InvalidDataException(
                $"tensor '{tensor.Name}' is larger than 2 GB, the limit: its shape is [{Shape(tensor)}]"
            );
        var held = Bytes(tensor).Length;
        if (held == needed)
            return;
        throw new InvalidDataException(
            string.Create(
                CultureInfo.InvariantCulture,
                $"tensor '{tensor.Name}' is [{Shape(tensor)}] of {(ElementType)tensor.DataType} "
                    + $"and needs {needed} bytes; the file holds {held}"
            )
        );
    }

    /// <summary>The number of bytes that a tensor's shape requires; null beyond 2 GB.</summary>
    /// <param name="tensor">The tensor; only its shape is used, not its elements.</param>
    /// <param name="elementSize">Bytes per element.</param>
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

    /// <summary>A tensor's shape, for an error message.</summary>
    /// <param name="tensor">The tensor.</param>
    private static string Shape(TensorProto tensor) => string.Join(", ", tensor.Dims);

    /// <summary>The bytes of a typed field, each element converted to the tensor's element type.</summary>
    private static ReadOnlyMemory<byte> Copy<TFrom, TTo>(RepeatedField<TFrom> field, Func<TFrom, TTo> convert)
        where TTo : unmanaged
    {
        var values = new TTo[field.Count];
        for (var index = 0; index < values.Length; index++)
            values[index] = convert(field[index]);
        return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }
}
