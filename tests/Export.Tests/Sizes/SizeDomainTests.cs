using TorchBridge.Export.Sizes;

namespace TorchBridge.Export.Tests;

public class SizeDomainTests
{
    [Theory]
    [InlineData(9, true)] // the smallest
    [InlineData(8, false)]
    [InlineData(6, false)] // in step, and too small
    [InlineData(10, false)] // out of step
    [InlineData(12, true)]
    [InlineData(30, true)] // the largest
    [InlineData(33, false)]
    public void A_size_is_in_it_between_the_ends_and_in_step(long size, bool isInside) =>
        Assert.Equal(isInside, new SizeDomain(Start: 12, Step: 3, Low: 9, High: 30).Contains(size));

    /// <summary>Where sizes are an even number apart, all are even or none: then the number of steps is even or
    /// odd.</summary>
    [Theory]
    [InlineData(1, 20, false, 20)]
    [InlineData(1, 20, true, 21)]
    [InlineData(1, 21, true, 21)]
    [InlineData(1, 21, false, 22)]
    [InlineData(1, 20.4, false, 20)]
    [InlineData(1, 1000, false, 100)] // above the largest
    [InlineData(1, -7, true, 4)] // below the smallest
    [InlineData(3, 27, true, 27)]
    [InlineData(3, 27, false, 30)]
    [InlineData(32, 100, true, 96)]
    [InlineData(32, 100, false, 96)] // 128 is beyond the largest
    [InlineData(32, 70, false, 64)]
    [InlineData(32, 70, true, 96)]
    public void The_nearest_size_is_in_step_even_or_odd_and_inside(long step, double wished, bool isOdd, long expected)
    {
        var domain = new SizeDomain(Start: step == 3 ? 24 : 64, step, Low: 4, High: 100);
        Assert.Equal(expected, domain.Nearest(wished, isOdd));
    }
}
