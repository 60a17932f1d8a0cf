// What it does: keeps a histogram of a value over any number of batches in constant memory.
//   Bins have equal width, a power of two, on both sides of zero. A value outside doubles the width: pairs of bins are
//   merged.
//   Zeros are counted separately: half of a ReLU's results are exactly zero, and every scale represents zero exactly.
namespace TorchBridge.Quantization.Calibration;

/// <summary>
/// Histogram of one value of the graph: 8,192 bins of equal width, a power of two, on both sides of zero, whatever
/// the number of batches.
/// </summary>
internal sealed class ValueHistogram
{
    /// <summary>Total number of bins, on both sides of zero.</summary>
    private const int Bins = 8192;

    /// <summary>Count of values in each bin; the bin of zero is in the middle.</summary>
    private long[] counts = new long[Bins];

    /// <summary>
    /// Binary logarithm of the bin width; <c>int.MinValue</c> until a non-zero value was added.
    /// </summary>
    private int exponent = int.MinValue;

    /// <summary>Smallest value added; infinity if there is none.</summary>
    public double Low { get; private set; } = double.PositiveInfinity;

    /// <summary>Largest value added; negative infinity if there is none.</summary>
    public double High { get; private set; } = double.NegativeInfinity;

    /// <summary>Number of values added, including zeros.</summary>
    public long Count { get; private set; }

    /// <summary>Centre and count of each non-empty bin, in ascending order; exact zeros are not included.</summary>
    public IEnumerable<(double Middle, long Count)> Filled()
    {
        var width = Math.ScaleB(1, exponent);
        for (var bin = 0; bin < Bins; bin++)
        {
            if (counts[bin] > 0)
                yield return ((bin - (Bins / 2) + 0.5) * width, counts[bin]);
        }
    }

    /// <summary>The width of a bin: the smallest that covers the values added so far.</summary>
    public double BinWidth => Math.ScaleB(1, exponent);

    /// <summary>Adds values.</summary>
    /// <param name="values">A batch's values, in any order.</param>
    /// <returns>Whether all of them were finite; if not, nothing is added.</returns>
    public bool Add(ReadOnlySpan<float> values)
    {
        if (values.IsEmpty)
            return true;
        float low = float.PositiveInfinity,
            high = float.NegativeInfinity;
        foreach (var value in values)
        {
            if (!float.IsFinite(value))
                return false;
            if (value < low)
                low = value;
            if (value > high)
                high = value;
        }

        Low = Math.Min(Low, low);
        High = Math.Max(High, high);
        Count += values.Length;
        Widen(Math.Max(Math.Abs((double)low), Math.Abs((double)high)));
        var perWidth = (float)Math.ScaleB(1, -exponent);
        foreach (var value in values)
        {
            if (value != 0)
                counts[(int)MathF.Floor(value * perWidth) + (Bins / 2)]++;
        }

        return true;
    }

    /// <summary>Makes the bins wide enough for a magnitude.</summary>
    /// <param name="magnitude">The magnitude that the bins must cover.</param>
    private void Widen(double magnitude)
    {
        if (magnitude == 0)
            return;
        // Strictly inside: |x| < 2^(exponent) * Bins / 2.
        var needed = Math.Max(Math.ILogB(magnitude) + 1 - Math.ILogB(Bins / 2), -120);
        if (exponent == int.MinValue)
            exponent = needed;
        for (; exponent < needed; exponent++)
        {
            var wider = new long[Bins];
            for (var bin = 0; bin < Bins; bin++)
                wider[(bin / 2) + (Bins / 4)] += counts[bin];
            counts = wider;
        }
    }
}
