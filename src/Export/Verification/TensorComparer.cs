using System.Globalization;
using TorchBridge.Export.Onnx;
using TorchBridge.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>How two tensors differ.</summary>
/// <param name="LargestAbsolute">Largest absolute difference.</param>
/// <param name="LargestRelative">Largest difference relative to the expected value, for values above 1 % of the
/// largest.</param>
/// <param name="LargestValue">Largest absolute expected value.</param>
/// <param name="Rows">Size of axis 0.</param>
/// <param name="TopOneAgreement">For rank 2: rows with the same largest element, ties within the tolerance
/// included.</param>
/// <param name="Difference">What is wrong, or null if everything is within tolerance.</param>
internal sealed record Comparison(
    double LargestAbsolute,
    double LargestRelative,
    double LargestValue,
    long Rows,
    long? TopOneAgreement,
    string? Difference
);

/// <summary>
/// Compares tensors: dtype and shape first, then NaN and infinity patterns, then values. NaN equals only NaN,
/// integers must be equal.
/// </summary>
internal static class TensorComparer
{
    /// <summary>Compares a computed tensor with the expected one.</summary>
    /// <param name="actual">Tensor that the file computed.</param>
    /// <param name="expected">Tensor that the module computed.</param>
    /// <param name="relative">Relative tolerance, as a share of an element's scale; see <see
    /// cref="Tolerance"/>.</param>
    public static Comparison Compare(Tensor actual, Tensor expected, double relative)
    {
        if (actual.dtype != expected.dtype)
            return Wrong($"dtype is {actual.dtype}, expected {expected.dtype}");
        if (!actual.shape.AsSpan().SequenceEqual(expected.shape))
            return Wrong(
                $"shape is [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]"
            );
        if (expected.numel() == 0)
            return new Comparison(0, 0, 0, 0, null, null);
        return is_floating_point(expected)
            ? CompareNumbers(actual, expected, relative)
            : CompareIntegers(actual, expected);
    }

    /// <summary>Compares floating-point numbers, each by its own tolerance.</summary>
    /// <param name="actual">Tensor that the file computed.</param>
    /// <param name="expected">Tensor that the module computed, with the same shape and dtype.</param>
    /// <param name="relativeTolerance">Relative tolerance, as a share of an element's scale.</param>
    private static Comparison CompareNumbers(Tensor actual, Tensor expected, double relativeTolerance)
    {
        using var scope = NewDisposeScope();
        var tolerance = Tolerance.Of(expected, relativeTolerance);
        double largest = 0,
            relative = 0;
        string? difference = null;
        Tensor allGot = TensorBlocks.Flat(actual),
            allWant = TensorBlocks.Flat(expected);
        for (var start = 0L; start < allWant.numel(); start += TensorBlocks.Elements)
        {
            using var blockScope = NewDisposeScope();
            if (DifferentBlocks(allGot, allWant, start) is not var (gotBlock, wantBlock))
                continue;
            ReadOnlySpan<double> got = TensorBlocks.Doubles(gotBlock),
                want = TensorBlocks.Doubles(wantBlock);
            for (var index = 0; index < want.Length; index++)
            {
                var isSpecial = !double.IsFinite(want[index]) || !double.IsFinite(got[index]);
                var error = isSpecial
                    ? (Same(got[index], want[index]) ? 0 : double.PositiveInfinity)
                    : Math.Abs(got[index] - want[index]);
                if (error > largest)
                    largest = error;
                if (error == 0)
                    continue;
                if (Math.Abs(want[index]) > 0.01 * tolerance.Largest)
                    relative = Math.Max(relative, error / Math.Abs(want[index]));
                if (difference is null && error > tolerance.Smallest && error > tolerance.At(start + index))
                    difference = Describe(
                        start + index,
                        expected.shape,
                        got[index],
                        want[index],
                        error,
                        tolerance.At(start + index)
                    );
            }
        }

        return new Comparison(
            largest,
            relative,
            tolerance.Largest,
            RowsOf(expected),
            TopOne(allGot, allWant, expected.shape, tolerance),
            difference
        );
    }

    /// <summary>Compares integers and booleans, which must be equal.</summary>
    /// <param name="actual">Tensor that the file computed.</param>
    /// <param name="expected">Tensor that the module computed, with the same shape and dtype.</param>
    private static Comparison CompareIntegers(Tensor actual, Tensor expected)
    {
        using var scope = NewDisposeScope();
        double largest = 0;
        string? difference = null;
        Tensor allGot = TensorBlocks.Flat(actual),
            allWant = TensorBlocks.Flat(expected);
        for (var start = 0L; start < allWant.numel(); start += TensorBlocks.Elements)
        {
            using var blockScope = NewDisposeScope();
            if (DifferentBlocks(allGot, allWant, start) is not var (gotBlock, wantBlock))
                continue;
            // Compared as 64-bit integers, because float64 holds only 53 bits.
            ReadOnlySpan<long> got = TensorBlocks.Integers(gotBlock),
                want = TensorBlocks.Integers(wantBlock);
            for (var index = 0; index < want.Length; index++)
            {
                if (got[index] == want[index])
                    continue;
                largest = Math.Max(largest, Math.Max(1, Math.Abs((double)got[index] - want[index])));
                difference ??=
                    $"element [{Index(start + index, expected.shape)}] is {got[index]}, expected {want[index]}";
            }
        }

        var largestValue = allWant.to(ScalarType.Float64).abs().max().ToDouble();
        return new Comparison(largest, 0, largestValue, RowsOf(expected), null, difference);
    }

    /// <summary>The blocks that begin at an element; null if they have the same bytes, as most do.</summary>
    /// <param name="allGot">The file's elements, one axis.</param>
    /// <param name="allWant">The module's elements, one axis.</param>
    /// <param name="start">Index of the blocks' first element.</param>
    private static (Tensor Got, Tensor Want)? DifferentBlocks(Tensor allGot, Tensor allWant, long start)
    {
        Tensor got = TensorBlocks.At(allGot, start),
            want = TensorBlocks.At(allWant, start);
        return got.bytes.SequenceEqual(want.bytes) ? null : (got, want);
    }

    /// <summary>Describes the first element that differs, for a message.</summary>
    /// <param name="at">Index in C order.</param>
    /// <param name="shape">Shape of the tensor.</param>
    /// <param name="got">Value that the file computed.</param>
    /// <param name="want">Value that the module computed.</param>
    /// <param name="error">Their absolute difference.</param>
    /// <param name="allowed">The largest allowed difference.</param>
    private static string Describe(long at, long[] shape, double got, double want, double error, double allowed) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"element [{Index(at, shape)}] is {Numbers.Short(got, 9)}, expected {Numbers.Short(want, 9)} "
                + $"(difference {Numbers.Short(error)}, allowed {Numbers.Short(allowed)})"
        );

    /// <summary>Size of axis 0; 1 for a tensor without axes.</summary>
    private static long RowsOf(Tensor tensor) => tensor.dim() == 0 ? 1 : tensor.shape[0];

    /// <summary>A comparison that fails before any value is compared.</summary>
    private static Comparison Wrong(string difference) =>
        new(double.PositiveInfinity, double.PositiveInfinity, 0, 0, null, difference);

    /// <summary>Equality in which NaN equals NaN.</summary>
    private static bool Same(double a, double b) => double.IsNaN(a) ? double.IsNaN(b) : a == b;

    /// <summary>
    /// Number of rows whose largest element is at the same index, ties within the tolerance included; null for other
    /// shapes.
    /// </summary>
    /// <param name="allGot">The file's elements, one axis.</param>
    /// <param name="allWant">The module's elements, one axis.</param>
    /// <param name="shape">Shape of both before they were flattened.</param>
    /// <param name="tolerance">Differences up to the tolerance count as ties.</param>
    private static long? TopOne(Tensor allGot, Tensor allWant, long[] shape, Tolerance tolerance)
    {
        if (shape.Length != 2 || shape[1] is < 2 or > int.MaxValue / sizeof(double))
            return null;
        var width = (int)shape[1];
        var blockLength = Math.Max(1, TensorBlocks.Elements / width) * (long)width; // whole rows
        long equal = 0;
        for (var start = 0L; start < allWant.numel(); start += blockLength)
        {
            using var blockScope = NewDisposeScope();
            ReadOnlySpan<double> got = TensorBlocks.Doubles(TensorBlocks.At(allGot, start, blockLength)),
                want = TensorBlocks.Doubles(TensorBlocks.At(allWant, start, blockLength));
            for (var row = 0; row < want.Length; row += width)
            {
                int best = row,
                    bestGot = row;
                for (var index = row + 1; index < row + width; index++)
                {
                    if (want[index] > want[best])
                        best = index;
                    if (got[index] > got[bestGot])
                        bestGot = index;
                }

                if (best == bestGot || want[best] - want[bestGot] <= 2 * tolerance.At(start + best))
                    equal++;
            }
        }

        return equal;
    }

    /// <summary>Formats an index in C order as one index per axis.</summary>
    /// <param name="flat">Index in C order.</param>
    /// <param name="shape">Shape of the tensor.</param>
    private static string Index(long flat, long[] shape)
    {
        var index = new long[shape.Length];
        for (var axis = shape.Length - 1; axis >= 0; axis--)
            (flat, index[axis]) = (flat / shape[axis], flat % shape[axis]);
        return string.Join(", ", index);
    }
}
