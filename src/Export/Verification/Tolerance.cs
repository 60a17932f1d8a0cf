// Why: TorchSharp and ONNX Runtime sum the same products in different orders. Sums of n terms differ by about sqrt(n)
// units in the last place (6e-8 in float32), and errors accumulate over layers. The size of a rounding error depends
// on the numbers that were summed, and these depend on the meaning of an output: one tensor may hold boxes of 0 to
// 640 and scores of 0 to 1. So the scale of an element is the minimum, over its slices (its row, column, channel), of
// the largest value in the slice.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>The tolerance of each element of an output.</summary>
internal sealed class Tolerance
{
    /// <summary>
    /// Relative tolerance of float32 results, as a share of the scale. 1e-4 is about 1,600 units in the last place:
    /// an order of magnitude above the differences of deep networks, and two below the effect of a weight that is 1 %
    /// wrong in every channel.
    /// </summary>
    public const double Usual = 1e-4;

    /// <summary>Relative tolerance of bfloat16 results. float16 and bfloat16 have 11 and 8 bits: one unit is 5e-4 or
    /// 4e-3 of a value, and a few roundings add up.</summary>
    public const double LowPrecision = 2e-2;

    /// <summary>Relative tolerance of results in float16 only.</summary>
    public const double HalfPrecision = 5e-3;

    /// <summary>
    /// A slice of small numbers may be the remainder of a cancellation between large ones (an almost dead channel),
    /// so no scale is below this share of the largest value of the output.
    /// </summary>
    private const double SmallestScale = 0.03;

    /// <summary>Slices with fewer elements say little about their scale.</summary>
    private const int SmallestSlice = 8;

    /// <summary>Shape of the output.</summary>
    private readonly long[] shape;

    /// <summary>
    /// For each axis, the largest absolute value of each of its slices; null for an axis that does not separate
    /// different quantities: one slice, more than 4096, or slices with few elements.
    /// </summary>
    private readonly double[]?[] scales;

    /// <summary>Relative tolerance, as a share of an element's scale.</summary>
    private readonly double relative;

    /// <summary>Stores the scales of an output's slices.</summary>
    private Tolerance(long[] shape, double[]?[] scales, double largest, double relative)
    {
        this.shape = shape;
        this.scales = scales;
        this.relative = relative;
        Largest = largest;
    }

    /// <summary>Largest finite absolute value of the output.</summary>
    public double Largest { get; }

    /// <summary>Tolerance of the elements with the largest scale.</summary>
    public double Widest => relative * Largest;

    /// <summary>Creates the tolerance of an output.</summary>
    /// <param name="expected">Output of the module.</param>
    /// <param name="relative">Relative tolerance, as a share of the scale; 0 for integers and booleans.</param>
    /// <returns>The tolerance of each element.</returns>
    public static Tolerance Of(Tensor expected, double relative)
    {
        if (!is_floating_point(expected) || expected.numel() == 0)
            return new Tolerance(expected.shape, new double[]?[expected.dim()], 0, 0);
        using var scope = NewDisposeScope();
        var finite = expected.detach().cpu().to(ScalarType.Float64).abs();
        finite = finite.masked_fill(finite.isfinite().logical_not(), 0);
        var largest = finite.max().ToDouble();
        var scales = new double[]?[expected.dim()];
        for (var axis = 0; axis < scales.Length; axis++)
        {
            // Long axes are positions, not different quantities.
            if (expected.shape[axis] is < 2 or > 4096 || expected.numel() / expected.shape[axis] < SmallestSlice)
                continue;
            var others = Enumerable
                .Range(0, scales.Length)
                .Where(other => other != axis)
                .Select(other => (long)other)
                .ToArray();
            scales[axis] = finite.amax(others).data<double>().ToArray();
        }

        return new Tolerance(expected.shape, scales, largest, relative);
    }

    /// <summary>Tolerance of an element.</summary>
    /// <param name="flat">Index of the element in C order.</param>
    public double At(long flat)
    {
        if (relative == 0)
            return 0;
        var scale = Largest;
        for (var axis = shape.Length - 1; axis >= 0; axis--)
        {
            (flat, var index) = (flat / shape[axis], flat % shape[axis]);
            if (scales[axis] is { } slices)
                scale = Math.Min(scale, slices[index]);
        }

        return relative * Math.Max(scale, SmallestScale * Largest);
    }
}
