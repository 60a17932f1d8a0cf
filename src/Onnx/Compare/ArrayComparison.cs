// The rules of all comparisons: NaN equals only NaN; an infinity equals only the infinity of the same sign; all other
// numbers differ by |actual - expected|, computed in float64. The largest element of a row is the first of several
// equal ones, and is never NaN unless the row holds only NaN. Two classes tie if their expected values differ by at
// most a tolerance given by the caller.
using System.Numerics;

namespace TorchBridge.Onnx.Compare;

/// <summary>
/// Compares arrays of numbers by the rules that export, quantization, self-checks and row probes share.
/// </summary>
internal static class ArrayComparison
{
    /// <summary>
    /// Expected values up to this fraction of the largest one are left out of the relative difference.
    /// </summary>
    private const double RelativeFloor = 0.01;

    /// <summary>The absolute difference between a number and its expected value.</summary>
    /// <param name="actual">The computed values.</param>
    /// <param name="expected">The expected values.</param>
    /// <returns>0 or more: 0 for two NaN and for two infinities of the same sign, and infinity for any other pair in
    /// which a number is not finite.</returns>
    public static double Difference(double actual, double expected)
    {
        var difference = Math.Abs(actual - expected);
        if (double.IsFinite(difference))
            return difference;
        return actual.Equals(expected) ? 0 : double.PositiveInfinity;
    }

    /// <summary>
    /// Compares two arrays of equal length element by element and finds the largest absolute and relative
    /// differences.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type; both values are converted to float64 before they
    /// are subtracted.</typeparam>
    /// <param name="actual">The computed values.</param>
    /// <param name="expected">The expected values.</param>
    /// <returns>The differences. The relative difference covers only elements whose expected value is above 1 % of
    /// the largest, since that of a tiny value would consist of rounding errors.</returns>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static ArrayDifference Compare<T>(ReadOnlySpan<T> actual, ReadOnlySpan<T> expected)
        where T : IBinaryFloatingPointIeee754<T>
    {
        if (actual.Length != expected.Length)
            throw new ArgumentException(
                $"{actual.Length} computed elements, but {expected.Length} expected ones",
                nameof(actual)
            );
        var largestValue = LargestMagnitude(expected);
        double largest = 0,
            relative = 0;
        var isFinite = true;
        for (var index = 0; index < expected.Length; index++)
        {
            double got = double.CreateChecked(actual[index]),
                want = double.CreateChecked(expected[index]);
            isFinite &= double.IsFinite(got) && double.IsFinite(want);
            var difference = Difference(got, want);
            largest = Math.Max(largest, difference);
            if (Math.Abs(want) > RelativeFloor * largestValue && double.IsFinite(want))
                relative = Math.Max(relative, difference / Math.Abs(want));
        }

        return new ArrayDifference(largest, relative, largestValue, isFinite);
    }

    /// <summary>The largest absolute value among the finite numbers; 0 if there is none.</summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="values">Any numbers; NaN and infinities are ignored.</param>
    /// <returns>0 or more.</returns>
    public static double LargestMagnitude<T>(ReadOnlySpan<T> values)
        where T : IBinaryFloatingPointIeee754<T>
    {
        double largest = 0;
        foreach (var value in values)
        {
            var magnitude = Math.Abs(double.CreateChecked(value));
            if (magnitude > largest && double.IsFinite(magnitude))
                largest = magnitude;
        }

        return largest;
    }

    /// <summary>
    /// Index of the largest element, the first of several equal ones. NaN counts as the largest only if there is
    /// nothing else.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="row">One row of scores, with at least one element.</param>
    /// <returns>0 to <c>row.Length - 1</c>; 0 for a row that holds only NaN.</returns>
    public static int IndexOfLargest<T>(ReadOnlySpan<T> row)
        where T : IBinaryFloatingPointIeee754<T>
    {
        var best = 0;
        for (var index = 1; index < row.Length; index++)
        {
            if (row[index] > row[best] || (T.IsNaN(row[best]) && !T.IsNaN(row[index])))
                best = index;
        }

        return best;
    }

    /// <summary>
    /// Compares the index of the largest element in each row, that is, the predicted class in logits or probabilities
    /// of shape [rows, width].
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="actual">rows x width computed values.</param>
    /// <param name="expected">rows x width expected values, which also decide whether two classes tie.</param>
    /// <param name="width">Number of elements per row.</param>
    /// <param name="tie">Largest difference between the expected values of two classes that still counts as a tie; 0
    /// if only equal values do.</param>
    /// <returns>How many rows agree on the class, and which of these agree only because of a tie.</returns>
    public static RowAgreement Rows<T>(ReadOnlySpan<T> actual, ReadOnlySpan<T> expected, int width, double tie)
        where T : IBinaryFloatingPointIeee754<T>
    {
        var agree = 0;
        var ties = new List<int>();
        for (var row = 0; row < expected.Length / width; row++)
        {
            var wanted = expected.Slice(row * width, width);
            int theirs = IndexOfLargest(wanted),
                ours = IndexOfLargest(actual.Slice(row * width, width));
            if (ours != theirs)
            {
                if (!(Difference(double.CreateChecked(wanted[ours]), double.CreateChecked(wanted[theirs])) <= tie))
                    continue;
                ties.Add(row);
            }

            agree++;
        }

        return new RowAgreement(agree, ties);
    }

    /// <summary>
    /// Converts logits to probabilities, exp(x - max) / sum of exp(x - max), in float64. Subtracting the maximum
    /// keeps exp from overflowing.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="logits">One row of logits; nothing is written for an empty row.</param>
    /// <param name="probabilities">Receives one number from 0 to 1 per logit; their sum is 1.</param>
    public static void Softmax<T>(ReadOnlySpan<T> logits, Span<double> probabilities)
        where T : IBinaryFloatingPointIeee754<T>
    {
        if (logits.IsEmpty)
            return;
        var largest = double.CreateChecked(logits[IndexOfLargest(logits)]);
        double sum = 0;
        for (var index = 0; index < logits.Length; index++)
            sum += probabilities[index] = Math.Exp(double.CreateChecked(logits[index]) - largest);
        for (var index = 0; index < logits.Length; index++)
            probabilities[index] /= sum;
    }
}
