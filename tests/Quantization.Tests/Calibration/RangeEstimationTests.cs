using TorchBridge.Quantization.Calibration;

namespace TorchBridge.Quantization.Tests.Calibration;

public class RangeEstimationTests
{
    public static TheoryData<CalibrationMethod> Methods => [.. Enum.GetValues<CalibrationMethod>()];

    [Theory]
    [MemberData(nameof(Methods))]
    public void A_range_holds_zero_and_lies_within_what_was_seen(CalibrationMethod method)
    {
        var seen = Seen(outlier: 40);
        var (low, high) = RangeEstimation.Of(seen, method);
        Assert.InRange(low, seen.Low, 0);
        Assert.InRange(high, 0, seen.High);
        Assert.True(high > 1, $"{method} cuts off what is common: {high}");
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void Where_nothing_was_seen_the_range_is_empty(CalibrationMethod method)
    {
        var zeros = new ValueHistogram();
        zeros.Add(new float[10]);
        Assert.Equal((0d, 0d), RangeEstimation.Of(new ValueHistogram(), method));
        Assert.Equal((0d, 0d), RangeEstimation.Of(zeros, method));
    }

    /// <summary>One number far out: the smallest and largest are kept by MinMax, and given up by a percentile.</summary>
    [Fact]
    public void A_lone_outlier_is_cut_off_by_all_that_weigh()
    {
        var seen = Seen(outlier: 1000);
        Assert.Equal(1000, RangeEstimation.Of(seen, CalibrationMethod.MinMax).High);
        Assert.True(RangeEstimation.Of(seen, CalibrationMethod.Percentile).High < 100);
    }

    /// <summary>45,000 numbers at most: one end leaves out 4, two ends leave out 2 each. The bins are 1/256 wide, and
    /// a number that is a multiple of that lies at the lower edge of its bin: the upper edge is kept.</summary>
    [Theory]
    [InlineData(new[] { 8f, 4 }, new[] { 4, 1 }, new[] { 1f }, 0, 4 + (1 / 256d))]
    [InlineData(new[] { 8f, 4 }, new[] { 5, 1 }, new[] { 1f }, 0, 8)] // the bin reaches beyond what was seen
    [InlineData(new[] { -8f, -4 }, new[] { 4, 1 }, new[] { -1f }, -4, 0)]
    [InlineData(new[] { 8f, 4, -8, -4 }, new[] { 2, 1, 2, 1 }, new[] { 1f, -1 }, -4, 4 + (1 / 256d))]
    [InlineData(new[] { 8f, 4, -8, -4 }, new[] { 3, 1, 3, 1 }, new[] { 1f, -1 }, -8, 8)]
    [InlineData(new[] { 8f }, new[] { 2 }, new[] { -1f }, -1, 0)] // all on one side are left out
    [InlineData(new[] { -8f }, new[] { 2 }, new[] { 1f }, 0, 1)]
    public void A_percentile_leaves_out_its_share_and_keeps_the_bin_where_that_ends(
        float[] rare,
        int[] counts,
        float[] common,
        double low,
        double high
    )
    {
        var values = rare.Zip(counts).SelectMany(pair => Enumerable.Repeat(pair.First, pair.Second)).ToList();
        for (var index = 0; values.Count < 45_000; index++)
            values.Add(common[index % common.Length]);
        var seen = new ValueHistogram();
        Assert.True(seen.Add(values.ToArray()));
        Assert.Equal((low, high), RangeEstimation.Of(seen, CalibrationMethod.Percentile));
    }

    /// <summary>
    /// The error of n numbers inside is n ((high - low) / 255)² / 12, that of one far out its squared distance: the
    /// least of their sum is where the derivative is zero, here between two of the 64 places.
    /// </summary>
    [Theory]
    [InlineData(0.99f, 400_000, 2, 0, 42 / 32d)] // 0.5126 h² + (2.0005 - h)²: 1.322
    [InlineData(-0.99f, 320_000, 2, -0.99f, 36 / 32d)] // 0.4101 (h + 0.99)² + (2.0005 - h)²: 1.131
    [InlineData(0.99f, 320_000, -2, -36 / 32d, 0.99f)] // 0.4101 (0.99 - l)² + (1.9995 + l)²: -1.130
    public void The_mean_square_weighs_what_is_rounded_against_what_is_cut_off(
        float common,
        int count,
        float rare,
        double low,
        double high
    )
    {
        var seen = new ValueHistogram();
        Assert.True(seen.Add([.. Enumerable.Repeat(common, count), rare]));
        Assert.Equal((low, high), RangeEstimation.Of(seen, CalibrationMethod.MeanSquareError));
    }

    public static TheoryData<CalibrationMethod, string> Searched =>
        new MatrixTheoryData<CalibrationMethod, string>(
            [CalibrationMethod.MeanSquareError, CalibrationMethod.Entropy],
            ["both", "above", "below", "narrow", "steps"]
        );

    /// <summary>
    /// Moving one end of the range to any other place that is tried makes it no better, by a cost that is computed
    /// from its definition, bin by bin.
    /// </summary>
    [Theory]
    [MemberData(nameof(Searched))]
    public void No_other_place_of_one_end_costs_less(CalibrationMethod method, string kind)
    {
        var normal = ArithmeticTests.Normal(30_000, 12);
        float[] values = kind switch
        {
            "above" => [.. normal.Select(value => Math.Abs(value * value * value))],
            "below" => [.. normal.Select(value => -Math.Abs(value * value * value))],
            // Nearly all within 256 bins, where the levels keep every bin and the divergence says nothing.
            "narrow" => [.. normal.Select(value => value * 0.003f), 1],
            // Whole numbers, some far out: bins of very different counts, most of them empty.
            "steps" => [.. normal.Select(value => MathF.Round(value * value * value * 3) - 4)],
            _ => [.. normal.Select(value => value * value * value * (value < 0 ? 0.6f : 1))],
        };
        var seen = new ValueHistogram();
        Assert.True(seen.Add(values));
        var bins = seen.Filled().ToArray();
        var (low, high) = RangeEstimation.Of(seen, method);
        double Cost(double from, double to) =>
            method == CalibrationMethod.Entropy ? Divergence(bins, seen.BinWidth, from, to) : Squares(bins, from, to);
        var found = Cost(low, high);
        double lowest = Math.Min(seen.Low, 0),
            highest = Math.Max(seen.High, 0);
        Assert.True(found <= Cost(lowest, highest) * (1 + 1e-12));
        for (var place = 1; place <= 64; place++)
        {
            if (highest > 0)
                Assert.True(found <= Cost(low, highest * place / 64) * (1 + 1e-12), $"high {place}/64 is better");
            if (lowest < 0)
                Assert.True(found <= Cost(lowest * place / 64, high) * (1 + 1e-12), $"low {place}/64 is better");
        }
    }

    private static double Squares((double Middle, long Count)[] bins, double low, double high) =>
        bins.Sum(bin =>
            bin.Count
            * (
                bin.Middle < low || bin.Middle > high
                    ? Math.Pow(Math.Clamp(bin.Middle, low, high) - bin.Middle, 2)
                    : Math.Pow((high - low) / 255, 2) / 12
            )
        );

    /// <summary>Of the clipped histogram against what 256 levels leave of it, Migacz 2017.</summary>
    private static double Divergence((double Middle, long Count)[] bins, double width, double low, double high)
    {
        var inside = bins.Where(bin => bin.Middle >= low && bin.Middle <= high).ToArray();
        if (inside.Length == 0 || high - low <= 256 * width)
            return double.PositiveInfinity;
        var reference = inside.Select(bin => (double)bin.Count).ToArray();
        reference[0] += bins.Where(bin => bin.Middle < low).Sum(bin => bin.Count);
        reference[^1] += bins.Where(bin => bin.Middle > high).Sum(bin => bin.Count);
        var levels = inside
            .Select((bin, index) => (index, Level: Math.Min((int)((bin.Middle - low) / (high - low) * 256), 255)))
            .GroupBy(pair => pair.Level);
        var held = new double[inside.Length];
        foreach (var level in levels)
        {
            foreach (var (index, _) in level)
                held[index] = level.Average(pair => (double)inside[pair.index].Count);
        }

        double all = bins.Sum(bin => bin.Count),
            kept = inside.Sum(bin => bin.Count);
        return reference.Zip(held, (wanted, got) => wanted / all * Math.Log(wanted / all / (got / kept))).Sum();
    }

    [Fact]
    public void A_method_that_is_none_is_refused() =>
        Assert.Contains(
            "unknown calibration method",
            Assert.Throws<ArgumentOutOfRangeException>(() => RangeEstimation.Of(Seen(2), (CalibrationMethod)9)).Message,
            StringComparison.Ordinal
        );

    private static ValueHistogram Seen(float outlier)
    {
        var seen = new ValueHistogram();
        seen.Add(ArithmeticTests.Normal(100_000, 3));
        seen.Add([outlier]);
        return seen;
    }
}
