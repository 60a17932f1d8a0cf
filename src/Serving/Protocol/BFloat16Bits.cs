namespace TorchBridge.Serving.Protocol;

/// <summary>A bfloat16 number: the upper 16 bits of a float.</summary>
/// <param name="Bits">The bits.</param>
internal readonly record struct BFloat16Bits(ushort Bits)
{
    /// <summary>Rounds a float to the nearest bfloat16, ties to even. The largest floats become infinite.</summary>
    /// <param name="value">Any float except NaN.</param>
    public static BFloat16Bits From(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return new BFloat16Bits((ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
    }

    /// <summary>The number as a float, exactly.</summary>
    public float ToSingle() => BitConverter.UInt32BitsToSingle((uint)Bits << 16);
}
