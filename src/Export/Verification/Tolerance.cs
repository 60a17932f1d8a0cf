// Why: TorchSharp and ONNX Runtime sum the same products in different orders. Sums of n terms differ by about sqrt(n)
// units in the last place (6e-8 in float32), and errors accumulate over layers. The size of a rounding error depends
// on the numbers that were summed, and these depend on the meaning of an output: one tensor may hold boxes of 0 to
// 640 and scores of 0 to 1. So the scale of an element is the minimum, over its slices (its row, column, channel), of
// the largest value in the slice.
using TorchBridge.Export.Onnx;
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

    /// <summary>Output of the module.</summary>
    private readonly Tensor expected;

    /// <summary>
    /// For each axis, the largest absolute value of each of its slices; null for an axis that does not separate
    /// different quantities: one slice, more than 4096, or slices with few elements. Computed for the first element
    /// that differs by more than <see cref="Smallest"/>; mostly there is none.
    /// </summary>
    private readonly Lazy<double[]?[]> scales;

    /// <summary>Relative tolerance, as a share of an element's scale.</summary>
    private readonly double relative;

    /// <summary>Creates the tolerance of an output whose largest value is known.</summary>
    private Tolerance(Tensor expected, double relative, double largest)
    {
        this.expected = expected;
        this.relative = relative;
        scales = new Lazy<double[]?[]>(ScalesOfSlices);
        Largest = largest;
    }

    /// <summary>Largest finite absolute value of the output.</summary>
    public double Largest { get; }

    /// <summary>No element's tolerance is smaller.</summary>
    public double Smallest => relative * SmallestScale * Largest;

    /// <summary>Creates the tolerance of an output.</summary>
    /// <param name="expected">Output of the module, of a floating-point dtype; it must outlive the tolerance.</param>
    /// <param name="relative">Relative tolerance, as a share of the scale.</param>
    /// <returns>The tolerance of each element.</returns>
    public static Tolerance Of(Tensor expected, double relative)
    {
        using var scope = NewDisposeScope();
        var flat = TensorBlocks.Flat(expected);
        var largest = 0.0;
        for (var start = 0L; start < flat.numel(); start += TensorBlocks.Elements)
        {
            using var blockScope = NewDisposeScope();
            foreach (var value in TensorBlocks.Doubles(TensorBlocks.At(flat, start)))
            {
                var absolute = Math.Abs(value);
                if (absolute > largest && double.IsFinite(absolute))
                    largest = absolute;
            }
        }

        return new Tolerance(expected, relative, largest);
    }

    /// <summary>Tolerance of an element.</summary>
    /// <param name="flat">Index of the element in C order.</param>
    public double At(long flat)
    {
        var scale = Largest;
        var shape = expected.shape;
        for (var axis = shape.Length - 1; axis >= 0; axis--)
        {
            (flat, var index) = (flat / shape[axis], flat % shape[axis]);
            if (scales.Value[axis] is { } slices)
                scale = Math.Min(scale, slices[index]);
        }

        return relative * Math.Max(scale, SmallestScale * Largest);
    }

    /// <summary>The largest finite absolute value of each slice, for each axis that separates quantities.</summary>
    private double[]?[] ScalesOfSlices()
    {
        using var scope = NewDisposeScope();
        var finite = expected.detach().cpu().to(ScalarType.Float64).abs();
        finite = finite.masked_fill(finite.isfinite().logical_not(), 0);
        var result = new double[]?[expected.dim()];
        for (var axis = 0; axis < result.Length; axis++)
        {
            // Long axes are positions, not different quantities.
            if (expected.shape[axis] is < 2 or > 4096 || expected.numel() / expected.shape[axis] < SmallestSlice)
                continue;
            var others = Enumerable
                .Range(0, result.Length)
                .Where(other => other != axis)
                .Select(other => (long)other)
                .ToArray();
            result[axis] = finite.amax(others).data<double>().ToArray();
        }

        return result;
    }
}
