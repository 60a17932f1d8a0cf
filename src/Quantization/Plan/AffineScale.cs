// What it does: maps real numbers to 8-bit integers and back, as ONNX's QuantizeLinear and DequantizeLinear do.
//   q = saturate(round_half_even(x / scale) + zero_point),   x' = (q - zero_point) * scale,   in float32
// Source: ONNX operator specification, QuantizeLinear-13 and DequantizeLinear-13.
namespace TorchBridge.Quantization.Plan;

/// <summary>Scale and zero point of a tensor or of one of its channels.</summary>
/// <param name="Scale">Size of one step; a normal float32 above 0.</param>
/// <param name="ZeroPoint">The integer that represents zero exactly: -128 to 127, or 0 to 255.</param>
/// <param name="IsSigned">True for int8 (-128 to 127), false for uint8 (0 to 255).</param>
internal readonly record struct AffineScale(float Scale, int ZeroPoint, bool IsSigned)
{
    /// <summary>Number of steps between the smallest and the largest integer.</summary>
    public const int Steps = 255;

    /// <summary>The smallest integer of the type.</summary>
    private int Low => IsSigned ? -128 : 0;

    /// <summary>The largest integer of the type.</summary>
    private int High => IsSigned ? 127 : 255;

    /// <summary>
    /// The scale for values from <paramref name="low"/> to <paramref name="high"/>; the range is widened to include
    /// zero, which is represented exactly.
    /// </summary>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    /// <param name="isSigned">True for int8, false for uint8.</param>
    /// <returns>A scale of (high - low) / 255; 1 if the range is too small for a normal float32.</returns>
    public static AffineScale Of(double low, double high, bool isSigned)
    {
        var least = isSigned ? -128 : 0;
        (low, high) = (Math.Min(low, 0), Math.Max(high, 0));
        var scale = (float)((high - low) / Steps);
        if (!float.IsNormal(scale))
            return new AffineScale(1, least, isSigned); // all observed values are zero
        return new AffineScale(
            scale,
            Math.Clamp((int)Math.Round(least - (low / scale), MidpointRounding.ToEven), least, least + Steps),
            isSigned
        );
    }

    /// <summary>Quantizes a number; values outside the range saturate.</summary>
    /// <param name="x">Any number except NaN, which the caller refuses.</param>
    /// <returns>An integer of the type: -128 to 127, or 0 to 255.</returns>
    public int Quantize(float x) =>
        (int)Math.Clamp((double)MathF.Round(x / Scale, MidpointRounding.ToEven) + ZeroPoint, Low, High);

    /// <summary>The number that an integer represents.</summary>
    /// <param name="q">An integer of the type.</param>
    public float Dequantize(int q) => (q - ZeroPoint) * Scale;
}
