// What it does: a histogram of a value that is seen batch after batch, in a memory that does not grow.
//   Bins are of one width, a power of two, on both sides of zero. A number outside doubles the width: pairs of bins
// become one.
//   Zeros are counted apart: half of what a ReLU gives is exactly zero, and zero is exact in every scale.
namespace TorchBridge.Quantization.Calibration;

/// <summary>
/// What was seen of one value of the graph: 8,192 bins of one width, a power of two, on both sides of zero, whatever
/// the number of batches.
/// </summary>
internal sealed class ValueHistogram
{
    /// <summary>Bins on both sides of zero together.</summary>
    private const int Bins = 8192;

    /// <summary>How many numbers lie in each bin; the bin of zero is in the middle.</summary>
    private long[] counts = new long[Bins];

    /// <summary>
    /// The bins' width is two to this; the least integer before a number other than zero was seen.
    /// </summary>
    private int exponent = int.MinValue;

    /// <summary>The least number seen; infinity where nothing was.</summary>
    public double Low { get; private set; } = double.PositiveInfinity;

    /// <summary>The greatest number seen; negative infinity where nothing was.</summary>
    public double High { get; private set; } = double.NegativeInfinity;

    /// <summary>Numbers seen, zeros among them.</summary>
    public long Count { get; private set; }

    /// <summary>The middle of each bin that holds something, with its count, ascending; without the exact
    /// zeros.</summary>
    public IEnumerable<(double Middle, long Count)> Filled()
    {
        var width = Math.ScaleB(1, exponent);
        for (var bin = 0; bin < Bins; bin++)
        {
            if (counts[bin] > 0)
                yield return ((bin - (Bins / 2) + 0.5) * width, counts[bin]);
        }
    }

    /// <summary>The width of a bin: the finest that the numbers seen so far fit in.</summary>
    public double BinWidth => Math.ScaleB(1, exponent);

    /// <summary>Adds numbers.</summary>
    /// <param name="values">A batch's values, in any order.</param>
    /// <returns>Whether all of them were finite; nothing is added where one is not.</returns>
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
    /// <param name="magnitude">What must lie inside.</param>
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
