// What it does: maps real numbers to 8-bit integers and back, as ONNX's QuantizeLinear and DequantizeLinear do.
//   q = saturate(round_half_even(x / scale) + zero_point),   x' = (q - zero_point) * scale,   in float32
// Source: ONNX operator specification, QuantizeLinear-13 and DequantizeLinear-13.
namespace TorchBridge.Quantization.Plan;

/// <summary>Scale and zero point of a tensor, or of a channel of one.</summary>
/// <param name="Scale">What one step is worth; a normal float32 above 0.</param>
/// <param name="ZeroPoint">The integer that is exactly zero: -128 to 127, or 0 to 255.</param>
/// <param name="IsSigned">int8 (-128 to 127), else uint8 (0 to 255).</param>
internal readonly record struct AffineScale(float Scale, int ZeroPoint, bool IsSigned)
{
    /// <summary>Steps between the least and the greatest integer.</summary>
    public const int Steps = 255;

    /// <summary>The least integer of the type.</summary>
    private int Low => IsSigned ? -128 : 0;

    /// <summary>The greatest integer of the type.</summary>
    private int High => IsSigned ? 127 : 255;

    /// <summary>
    /// The scale for values from <paramref name="low"/> to <paramref name="high"/>; the range is widened to hold
    /// zero, exactly.
    /// </summary>
    /// <param name="low">Least number of the range.</param>
    /// <param name="high">Greatest number of it.</param>
    /// <param name="isSigned">int8, else uint8.</param>
    /// <returns>A scale of (high - low) / 255; 1 where the range is too small for a normal float32.</returns>
    public static AffineScale Of(double low, double high, bool isSigned)
    {
        var least = isSigned ? -128 : 0;
        (low, high) = (Math.Min(low, 0), Math.Max(high, 0));
        var scale = (float)((high - low) / Steps);
        if (!float.IsNormal(scale))
            return new AffineScale(1, least, isSigned); // nothing but zero was seen
        return new AffineScale(
            scale,
            Math.Clamp((int)Math.Round(least - (low / scale), MidpointRounding.ToEven), least, least + Steps),
            isSigned
        );
    }

    /// <summary>The integer of a number; what lies outside is saturated.</summary>
    /// <param name="x">Any number; NaN is the caller's to refuse.</param>
    /// <returns>An integer of the type: -128 to 127, or 0 to 255.</returns>
    public int Quantize(float x) =>
        (int)Math.Clamp((double)MathF.Round(x / Scale, MidpointRounding.ToEven) + ZeroPoint, Low, High);

    /// <summary>The number that an integer stands for.</summary>
    /// <param name="q">An integer of the type.</param>
    public float Dequantize(int q) => (q - ZeroPoint) * Scale;
}
