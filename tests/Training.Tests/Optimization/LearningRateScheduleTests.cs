using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Tests.Optimization;

/// <summary>Learning rates computed by hand. The numbers are exact in float64, so they are compared
/// exactly.</summary>
public class LearningRateScheduleTests
{
    /// <summary>Four steps up to the peak, which the first step of the fall has again.</summary>
    [Theory]
    [InlineData(0, 0.5)]
    [InlineData(1, 1)]
    [InlineData(2, 1.5)]
    [InlineData(3, 2)]
    [InlineData(4, 2)]
    [InlineData(5, 1.75)]
    [InlineData(8, 1)]
    [InlineData(11, 0.25)]
    [InlineData(12, 0)]
    public void One_cycle_is_a_line_up_and_a_line_down(long step, double expected) =>
        Assert.Equal(expected, LearningRateSchedule.At(ScheduleKind.OneCycle, 2, step, 12, warmUpSteps: 4));

    [Theory]
    [InlineData(0, 2)]
    [InlineData(2, 1.5)] // a third of the way: (1 + cos 60°) / 2
    [InlineData(3, 1)]
    [InlineData(4, 0.5)]
    [InlineData(6, 0)]
    public void Cosine_is_half_a_wave_behind_the_warm_up(long afterWarmUp, double expected) =>
        // Twelve digits: the cosine of a third of pi is not exact.
        Assert.Equal(expected, LearningRateSchedule.At(ScheduleKind.Cosine, 2, 4 + afterWarmUp, 10, 4), 12);

    [Fact]
    public void A_constant_rate_is_warmed_up_and_then_stays()
    {
        Assert.Equal(0.5, LearningRateSchedule.At(ScheduleKind.Constant, 1, 0, 9, warmUpSteps: 2));
        foreach (var step in (long[])[1, 2, 5, 8])
            Assert.Equal(1, LearningRateSchedule.At(ScheduleKind.Constant, 1, step, 9, warmUpSteps: 2, end: 0.25));
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(4, 2.5)] // halfway between the peak and a quarter of it
    [InlineData(8, 1)]
    public void What_falls_to_zero_falls_to_the_end_value_instead(long step, double expected)
    {
        Assert.Equal(expected, LearningRateSchedule.At(ScheduleKind.OneCycle, 4, step, 8, end: 0.25));
        Assert.Equal(expected, LearningRateSchedule.At(ScheduleKind.Cosine, 4, step, 8, end: 0.25), 12);
    }

    /// <summary>If the warm-up is as long as the run, no steps are left in which the rate could fall; this must not
    /// cause a division by zero.</summary>
    [Fact]
    public void A_run_that_is_all_warm_up_ends_at_the_peak()
    {
        Assert.Equal(3, LearningRateSchedule.At(ScheduleKind.OneCycle, 3, 4, 5, warmUpSteps: 5));
        Assert.Equal(3, LearningRateSchedule.At(ScheduleKind.OneCycle, 3, 5, 5, warmUpSteps: 5));
    }

    [Fact]
    public void A_kind_that_is_none_is_refused_by_name() =>
        Assert.Contains(
            "unknown schedule",
            Assert
                .Throws<ArgumentOutOfRangeException>(() => LearningRateSchedule.At((ScheduleKind)9, 1, 0, 10))
                .Message,
            StringComparison.Ordinal
        );
}
