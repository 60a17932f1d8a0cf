namespace TorchBridge.Serving.Protocol;

/// <summary>The datatypes of the Open Inference Protocol.</summary>
internal enum TensorType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned, 8 bits.</summary>
    UInt8,

    /// <summary>Unsigned, 16 bits.</summary>
    UInt16,

    /// <summary>Unsigned, 32 bits.</summary>
    UInt32,

    /// <summary>Unsigned, 64 bits.</summary>
    UInt64,

    /// <summary>Signed, 8 bits.</summary>
    Int8,

    /// <summary>Signed, 16 bits.</summary>
    Int16,

    /// <summary>Signed, 32 bits.</summary>
    Int32,

    /// <summary>Signed, 64 bits.</summary>
    Int64,

    /// <summary>IEEE 754 half precision.</summary>
    FP16,

    /// <summary>The upper half of a single-precision number.</summary>
    BF16,

    /// <summary>IEEE 754 single precision.</summary>
    FP32,

    /// <summary>IEEE 754 double precision.</summary>
    FP64,

    /// <summary>Byte strings of any length.</summary>
    Bytes,
}
