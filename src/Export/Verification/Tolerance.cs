// Why: TorchSharp and ONNX Runtime sum the same products in another order. n terms differ by about sqrt(n) units in
// the last place (6e-8 in float32), and errors of layers add up. How large a rounding is goes by the numbers that
// were summed, and these go by what an output stands for: in one tensor, boxes of 0 to 640 may stand beside scores of
// 0 to 1. So the scale of an element is the smallest of the largest values in its slices: the row that it is in, the
// column, the channel.
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>By how much each element of an output may differ.</summary>
internal sealed class Tolerance
{
    /// <summary>
    /// Share of the scale by which float32 results may differ. 1e-4 is some 1,600 units in the last place: an order
    /// of magnitude above what deep networks show, two below a weight that is 1 % wrong in every channel.
    /// </summary>
    public const double Usual = 1e-4;

    /// <summary>float16 and bfloat16 have 11 and 8 bits: one unit is 5e-4 or 4e-3 of a value, and a few roundings
    /// remain.</summary>
    public const double LowPrecision = 2e-2;

    /// <summary>Half precision alone.</summary>
    public const double HalfPrecision = 5e-3;

    /// <summary>
    /// A slice of small numbers may be the rest of a cancellation between large ones (a channel that is all but
    /// dead): no scale is below this share of the largest value of the output, 25 of its units in the last place.
    /// </summary>
    private const double SmallestScale = 0.03;

    /// <summary>Slices of fewer numbers say little of their scale.</summary>
    private const int SmallestSlice = 8;

    /// <summary>Shape of the output.</summary>
    private readonly long[] shape;

    /// <summary>
    /// For each axis the largest absolute value of each of its slices; null for an axis that does not tell meanings
    /// apart: one slice, more than 4096, or slices of a few numbers.
    /// </summary>
    private readonly double[]?[] scales;

    /// <summary>Share of its scale by which an element may differ.</summary>
    private readonly double relative;

    /// <summary>Notes the scales of an output's slices.</summary>
    private Tolerance(long[] shape, double[]?[] scales, double largest, double relative)
    {
        this.shape = shape;
        this.scales = scales;
        this.relative = relative;
        Largest = largest;
    }

    /// <summary>Largest finite absolute value of the output.</summary>
    public double Largest { get; }

    /// <summary>What the elements with the largest scale are allowed.</summary>
    public double Widest => relative * Largest;

    /// <summary>The tolerance of an output.</summary>
    /// <param name="expected">What the module computes.</param>
    /// <param name="relative">Share of the scale; 0 for integers and booleans.</param>
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
            // Wide axes are positions, not meanings.
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

    /// <summary>What an element is allowed.</summary>
    /// <param name="flat">Its place in C order.</param>
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
