using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Export.Verification;

/// <summary>How two tensors differ.</summary>
/// <param name="LargestAbsolute">Largest absolute difference.</param>
/// <param name="LargestRelative">Largest difference relative to the expected value, for values above 1 % of the largest.</param>
/// <param name="LargestValue">Largest absolute expected value.</param>
/// <param name="Rows">Size of axis 0.</param>
/// <param name="TopOneAgreement">For rank 2: rows with the same largest element, ties within the tolerance included.</param>
/// <param name="Difference">What is wrong, or null where everything is within tolerance.</param>
internal sealed record Comparison(double LargestAbsolute, double LargestRelative, double LargestValue, long Rows, long? TopOneAgreement, string? Difference);

/// <summary>Compares tensors: dtype and shape first, then NaN and infinity patterns, then values. NaN equals only NaN.</summary>
internal static class TensorComparer
{
    /// <summary>Compares what was computed with what was expected.</summary>
    /// <param name="actual">What the file computes.</param>
    /// <param name="expected">What the module computes.</param>
    /// <param name="tolerance">Largest absolute difference allowed; integers and booleans must be equal.</param>
    public static Comparison Compare(Tensor actual, Tensor expected, double tolerance)
    {
        if (actual.dtype != expected.dtype) return Wrong($"dtype is {actual.dtype}, expected {expected.dtype}");
        if (!actual.shape.AsSpan().SequenceEqual(expected.shape)) return Wrong($"shape is [{string.Join(", ", actual.shape)}], expected [{string.Join(", ", expected.shape)}]");
        if (expected.numel() == 0) return new Comparison(0, 0, 0, 0, null, null);
        double[] got = Values(actual), want = Values(expected);
        if (!is_floating_point(expected)) tolerance = 0;

        var largestValue = want.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(0).Max();
        double largest = 0, relative = 0;
        string? difference = null;
        for (var i = 0; i < want.Length; i++)
        {
            var special = !double.IsFinite(want[i]) || !double.IsFinite(got[i]);
            var error = special ? (Same(got[i], want[i]) ? 0 : double.PositiveInfinity) : Math.Abs(got[i] - want[i]);
            if (error > largest) largest = error;
            if (Math.Abs(want[i]) > 0.01 * largestValue) relative = Math.Max(relative, error / Math.Abs(want[i]));
            if (error > tolerance && difference is null)
                difference = string.Create(CultureInfo.InvariantCulture, $"element [{Index(i, expected.shape)}] is {Numbers.Short(got[i], 9)}, expected {Numbers.Short(want[i], 9)} (difference {Numbers.Short(error)}, allowed {Numbers.Short(tolerance)})");
        }

        return new Comparison(largest, relative, largestValue, expected.dim() == 0 ? 1 : expected.shape[0], TopOne(got, want, expected.shape, tolerance), difference);
    }

    private static Comparison Wrong(string difference) => new(double.PositiveInfinity, double.PositiveInfinity, 0, 0, null, difference);

    private static bool Same(double a, double b) => double.IsNaN(a) ? double.IsNaN(b) : a == b;

    private static double[] Values(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.detach().cpu().to(ScalarType.Float64).contiguous().flatten().data<double>().ToArray();
    }

    private static long? TopOne(double[] got, double[] want, long[] shape, double tolerance)
    {
        if (shape.Length != 2 || shape[1] < 2) return null;
        var width = (int)shape[1];
        long equal = 0;
        for (var row = 0; row < shape[0]; row++)
        {
            int best = 0, bestGot = 0;
            for (var i = 1; i < width; i++)
            {
                if (want[(row * width) + i] > want[(row * width) + best]) best = i;
                if (got[(row * width) + i] > got[(row * width) + bestGot]) bestGot = i;
            }

            if (best == bestGot || want[(row * width) + best] - want[(row * width) + bestGot] <= 2 * tolerance) equal++;
        }

        return equal;
    }

    private static string Index(long flat, long[] shape)
    {
        var index = new long[shape.Length];
        for (var axis = shape.Length - 1; axis >= 0; axis--) (flat, index[axis]) = (flat / shape[axis], flat % shape[axis]);
        return string.Join(", ", index);
    }
}
