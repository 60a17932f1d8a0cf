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

    private static ValueHistogram Seen(float outlier)
    {
        var seen = new ValueHistogram();
        seen.Add(ArithmeticTests.Normal(100_000, 3));
        seen.Add([outlier]);
        return seen;
    }
}
