// What it does: chooses the range [low, high] in which a value is quantized, from its histogram.
//   min-max      all observed values
//   percentile   all but a share of the values, half of it at each end if both signs occur
//   mean square  the range with the smallest expected (x - x')^2: rounding inside, clipping outside
//   entropy      the range with the smallest Kullback-Leibler divergence between the histogram and its 256 levels
// Every range includes zero. Sources: Migacz 2017, "8-bit inference with TensorRT" (entropy); Wu et al. 2020, "Integer
// quantization for deep learning inference", section 4 (percentile, entropy, mean square).
using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Calibration;

/// <summary>
/// Chooses the range of a value from its histogram with one of four methods. Every range holds zero.
/// </summary>
internal static class RangeEstimation
{
    /// <summary>Share of the values that the percentile method leaves out.</summary>
    public const double LeftOut = 1e-4;

    /// <summary>Number of candidates for each end of a range.</summary>
    private const int Candidates = 64;

    /// <summary>The range of a value; (0, 0) if all observed values are zero.</summary>
    /// <param name="seen">Histogram of the value.</param>
    /// <param name="method">The method.</param>
    /// <exception cref="ArgumentOutOfRangeException">The method is not one of the four.</exception>
    public static (double Low, double High) Of(ValueHistogram seen, CalibrationMethod method)
    {
        double low = Math.Min(seen.Low, 0),
            high = Math.Max(seen.High, 0);
        if (seen.Count == 0 || low == high)
            return (0, 0);
        var bins = seen.Filled().ToArray();
        return method switch
        {
            CalibrationMethod.MinMax => (low, high),
            CalibrationMethod.Percentile => Percentile(bins, seen, low, high),
            CalibrationMethod.MeanSquareError => Search(low, high, (l, h) => SquaredError(bins, l, h)),
            CalibrationMethod.Entropy => Search(low, high, (l, h) => Divergence(bins, seen.BinWidth, l, h)),
            _ => throw new ArgumentOutOfRangeException(nameof(method), method, "unknown calibration method"),
        };
    }

    /// <summary>Leaves out a share of the values, from the outermost bins inwards.</summary>
    /// <param name="bins">Centre and count of each bin, in ascending order.</param>
    /// <param name="seen">The histogram, for its count and the width of its bins.</param>
    /// <param name="low">Smallest observed value, at most 0.</param>
    /// <param name="high">Largest observed value, at least 0.</param>
    private static (double Low, double High) Percentile(
        (double Middle, long Count)[] bins,
        ValueHistogram seen,
        double low,
        double high
    )
    {
        var spare = (long)(seen.Count * LeftOut / (low < 0 && high > 0 ? 2 : 1));
        double Cut(IEnumerable<(double Middle, long Count)> fromTheEnd, double end)
        {
            long passed = 0;
            foreach (var (middle, count) in fromTheEnd)
            {
                passed += count;
                // Half a bin outwards, so that the values of this bin are kept.
                if (passed > spare)
                    return Math.Abs(middle) + (seen.BinWidth / 2) is var kept && kept < Math.Abs(end)
                        ? Math.CopySign(kept, end)
                        : end;
            }

            return 0;
        }

        return (
            low < 0 ? Cut(bins.Where(bin => bin.Middle < 0), low) : 0,
            high > 0 ? Cut(bins.Where(bin => bin.Middle > 0).Reverse(), high) : 0
        );
    }

    /// <summary>Moves the ends inwards, one after the other, to where the cost is smallest.</summary>
    /// <param name="low">Smallest observed value.</param>
    /// <param name="high">Largest observed value.</param>
    /// <param name="cost">Cost of a range, which is minimized.</param>
    /// <returns>A range within the observed values.</returns>
    private static (double Low, double High) Search(double low, double high, Func<double, double, double> cost)
    {
        double bestLow = low,
            bestHigh = high,
            best = cost(low, high);
        // Two rounds: the best position of one end depends slightly on the other.
        for (var round = 0; round < 2; round++)
        {
            for (var index = 1; index <= Candidates && high > 0; index++)
                Try(bestLow, high * index / Candidates);
            for (var index = 1; index <= Candidates && low < 0; index++)
                Try(low * index / Candidates, bestHigh);
        }

        return (bestLow, bestHigh);

        void Try(double l, double h)
        {
            var error = cost(l, h);
            if (error < best)
                (best, bestLow, bestHigh) = (error, l, h);
        }
    }

    /// <summary>
    /// Expected squared error of a range: step² / 12 inside, the squared distance to the nearer end outside.
    /// </summary>
    /// <param name="bins">Centre and count of each bin.</param>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    /// <returns>The sum over all values, not the mean.</returns>
    private static double SquaredError((double Middle, long Count)[] bins, double low, double high)
    {
        var step = (high - low) / AffineScale.Steps;
        // Values are assumed uniform between two levels: the mean square of the rounding error is step^2 / 12.
        double inside = step * step / 12,
            sum = 0;
        foreach (var (middle, count) in bins)
        {
            var outside =
                middle > high ? middle - high
                : middle < low ? low - middle
                : 0;
            sum += count * (outside > 0 ? outside * outside : inside);
        }

        return sum;
    }

    /// <summary>
    /// Kullback-Leibler divergence between the clipped histogram and its 256 levels; infinity if there are too few
    /// bins for a meaningful result.
    /// </summary>
    /// <param name="bins">Centre and count of each bin, in ascending order.</param>
    /// <param name="width">Width of a bin.</param>
    /// <param name="low">Lower end of the range.</param>
    /// <param name="high">Upper end of the range.</param>
    private static double Divergence((double Middle, long Count)[] bins, double width, double low, double high)
    {
        const int levels = AffineScale.Steps + 1;
        // The levels represent a histogram that is no finer than they are exactly.
        if (high - low <= levels * width)
            return double.PositiveInfinity;
        var mass = new double[levels];
        var filled = new int[levels];
        double total = 0;
        foreach (var (middle, count) in bins)
        {
            var level = Level(middle);
            mass[level] += count;
            if (middle >= low && middle <= high)
                filled[level]++;
            total += count;
        }

        // The reference counts clipped values at the end they saturate to; the levels cannot tell them from the
        // values that were there.
        double sum = 0,
            kept = 0;
        var clippedLow = bins.Where(bin => bin.Middle < low).Sum(bin => (double)bin.Count);
        var clippedHigh = bins.Where(bin => bin.Middle > high).Sum(bin => (double)bin.Count);
        var inside = bins.Where(bin => bin.Middle >= low && bin.Middle <= high).ToArray();
        if (inside.Length == 0)
            return double.PositiveInfinity;
        var unclipped = (double[])mass.Clone();
        unclipped[0] -= clippedLow;
        unclipped[^1] -= clippedHigh;
        kept = unclipped.Sum();
        for (var index = 0; index < inside.Length; index++)
        {
            var (middle, count) = inside[index];
            var level = Level(middle);
            var wanted =
                (count + (index == 0 ? clippedLow : 0) + (index == inside.Length - 1 ? clippedHigh : 0)) / total;
            var held = unclipped[level] / filled[level] / kept;
            sum += wanted * Math.Log(wanted / held);
        }

        return sum;

        int Level(double x) => Math.Clamp((int)((x - low) / (high - low) * levels), 0, levels - 1);
    }
}
