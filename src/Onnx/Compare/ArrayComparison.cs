// The rules, in one place: NaN equals NaN and nothing else; an infinity equals the infinity of the same sign;
// everything else differs by |actual - expected|, computed in float64. Of a row, the largest element is the first of
// equals, and NaN is never it. Two classes tie where their expected values lie no further apart than a tolerance that
// the caller gives.
using System.Numerics;

namespace TorchBridge.Onnx.Compare;

/// <summary>
/// Compares arrays of numbers by one set of rules, which export, quantization, self-checks and row probes share: NaN
/// equals NaN only, infinities equal those of their own sign, everything else differs by the absolute difference in
/// float64.
/// </summary>
internal static class ArrayComparison
{
    /// <summary>Values below this share of the largest have no relative difference worth telling.</summary>
    private const double RelativeFloor = 0.01;

    /// <summary>
    /// How far a number is from what was expected; infinity where NaN or infinity stands on one side only.
    /// </summary>
    /// <param name="actual">What was computed.</param>
    /// <param name="expected">What is right.</param>
    /// <returns>0 and up; 0 for two NaN and for two infinities of one sign, infinity where only one side is
    /// finite.</returns>
    public static double Difference(double actual, double expected)
    {
        var difference = Math.Abs(actual - expected);
        if (double.IsFinite(difference))
            return difference;
        return actual.Equals(expected) ? 0 : double.PositiveInfinity;
    }

    /// <summary>
    /// Compares two arrays of equal length, element by element, and keeps the largest absolute and relative
    /// difference.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type; both sides are converted to float64 before they
    /// are subtracted.</typeparam>
    /// <param name="actual">What was computed.</param>
    /// <param name="expected">What is right.</param>
    /// <returns>The differences. Relative ones are taken only where the expected number is above 1 % of the largest:
    /// a quotient of two roundings says nothing.</returns>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static ArrayDifference Compare<T>(ReadOnlySpan<T> actual, ReadOnlySpan<T> expected)
        where T : IBinaryFloatingPointIeee754<T>
    {
        if (actual.Length != expected.Length)
            throw new ArgumentException($"{actual.Length} elements against {expected.Length}", nameof(actual));
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

    /// <summary>The largest absolute value of the finite numbers; 0 where there is none.</summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="values">Any numbers; NaN and infinities are passed over.</param>
    /// <returns>0 and up.</returns>
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
    /// Index of the largest element; the first of equals. NaN is never the largest, unless there is nothing else.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="row">One row of scores; it has at least one element.</param>
    /// <returns>0 to <c>row.Length - 1</c>; 0 for a row of nothing but NaN.</returns>
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
    /// Compares which element is the largest in each row: the predicted class, of logits or probabilities [rows,
    /// width].
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="actual">rows x width, what was computed.</param>
    /// <param name="expected">rows x width: decides which element is the largest, and what is a tie.</param>
    /// <param name="width">Elements of a row.</param>
    /// <param name="tie">How far apart the expected values of two classes may lie to be a tie; 0 for equal ones
    /// only.</param>
    /// <returns>How many rows name the same class, and which of these only because their classes tie.</returns>
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
    /// Probabilities of logits: exp(x - max) / sum of exp(x - max), in float64. Subtracting the largest keeps exp
    /// from overflowing.
    /// </summary>
    /// <typeparam name="T">float, double or another IEEE 754 type.</typeparam>
    /// <param name="logits">One row; an empty one gives nothing.</param>
    /// <param name="probabilities">Receives as many numbers as there are logits, 0 to 1; they add up to one.</param>
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
