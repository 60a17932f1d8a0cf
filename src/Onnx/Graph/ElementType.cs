namespace TorchBridge.Onnx.Graph;

/// <summary>Element types of ONNX tensors, with the numbers of <c>TensorProto.DataType</c>.</summary>
internal enum ElementType
{
    /// <summary>No type is given.</summary>
    Undefined = 0,

    /// <summary>IEEE 754, 32 bits.</summary>
    Float32 = 1,

    /// <summary>Unsigned, 8 bits.</summary>
    UInt8 = 2,

    /// <summary>Signed, 8 bits.</summary>
    Int8 = 3,

    /// <summary>Unsigned, 16 bits.</summary>
    UInt16 = 4,

    /// <summary>Signed, 16 bits.</summary>
    Int16 = 5,

    /// <summary>Signed, 32 bits.</summary>
    Int32 = 6,

    /// <summary>Signed, 64 bits.</summary>
    Int64 = 7,

    /// <summary>UTF-8 text.</summary>
    Text = 8,

    /// <summary>One byte, 0 or 1.</summary>
    Bool = 9,

    /// <summary>IEEE 754, 16 bits.</summary>
    Float16 = 10,

    /// <summary>IEEE 754, 64 bits.</summary>
    Float64 = 11,

    /// <summary>Unsigned, 32 bits.</summary>
    UInt32 = 12,

    /// <summary>Unsigned, 64 bits.</summary>
    UInt64 = 13,

    /// <summary>Two float32.</summary>
    Complex64 = 14,

    /// <summary>Two float64.</summary>
    Complex128 = 15,

    /// <summary>The upper half of a float32.</summary>
    BFloat16 = 16,
}

/// <summary>Sizes of element types.</summary>
internal static class ElementTypes
{
    /// <summary>
    /// Bytes per element; null for text, and for types of newer ONNX versions that pack several elements into a byte.
    /// </summary>
    /// <param name="type">Any type number, including those that this enumeration does not list.</param>
    /// <returns>1 to 16.</returns>
    public static int? SizeOf(ElementType type) =>
        type switch
        {
            ElementType.UInt8 or ElementType.Int8 or ElementType.Bool => 1,
            ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 or ElementType.BFloat16 => 2,
            ElementType.Float32 or ElementType.Int32 or ElementType.UInt32 => 4,
            ElementType.Float64 or ElementType.Int64 or ElementType.UInt64 or ElementType.Complex64 => 8,
            ElementType.Complex128 => 16,
            _ => null,
        };
}
