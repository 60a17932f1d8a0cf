namespace TorchBridge.Serving.Protocol;

/// <summary>Names and sizes of the datatypes.</summary>
internal static class TensorTypes
{
    /// <summary>The datatypes by the names that the protocol gives them.</summary>
    private static readonly Dictionary<string, TensorType> ByName = Enum.GetValues<TensorType>()
        .ToDictionary(NameOf, StringComparer.Ordinal);

    /// <summary>The protocol's name of a datatype, for example <c>FP32</c>.</summary>
    public static string NameOf(this TensorType type) => type.ToString().ToUpperInvariant();

    /// <summary>
    /// The name in Triton's <c>config.pbtxt</c>, for example <c>TYPE_FP32</c>; BYTES is called TYPE_STRING there.
    /// </summary>
    public static string TritonNameOf(this TensorType type) =>
        type == TensorType.Bytes ? "TYPE_STRING" : $"TYPE_{type.NameOf()}";

    /// <summary>The datatype of a given name; null if there is none.</summary>
    /// <param name="name">The protocol's name.</param>
    public static TensorType? Find(string name) => ByName.TryGetValue(name, out var type) ? type : null;

    /// <summary>Size of one element in bytes; 0 for BYTES, whose elements vary in length.</summary>
    public static int SizeOf(this TensorType type) =>
        type switch
        {
            TensorType.Bool or TensorType.UInt8 or TensorType.Int8 => 1,
            TensorType.UInt16 or TensorType.Int16 or TensorType.FP16 or TensorType.BF16 => 2,
            TensorType.UInt32 or TensorType.Int32 or TensorType.FP32 => 4,
            TensorType.UInt64 or TensorType.Int64 or TensorType.FP64 => 8,
            _ => 0,
        };

    /// <summary>All datatype names, for messages.</summary>
    public static string AllNames => string.Join(", ", ByName.Keys);
}
