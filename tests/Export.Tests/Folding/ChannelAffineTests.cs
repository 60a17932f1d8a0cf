using TorchBridge.Export.Folding;

namespace TorchBridge.Export.Tests;

public class ChannelAffineTests
{
    [Fact]
    public void A_norm_is_a_scale_and_a_shift_of_each_channel()
    {
        // 6 / sqrt(3 + 1) = 3 and 5 - 1 * 3; 1 / sqrt(0 + 1) = 1 and 0 - 2 * 1.
        var norm = ChannelAffine.OfBatchNorm([6, 1], [5, 0], [1, 2], [3, 0], 1);
        Assert.Equal([3d, 1], norm.Scale);
        Assert.Equal([2d, -2], norm.Shift);
    }

    [Fact]
    public void The_second_is_done_to_the_result_of_the_first()
    {
        ChannelAffine one = new([2], [1]),
            each = new([3, 5], [4, -1]);
        var first = one.Then(each); // 3 (2 x + 1) + 4, 5 (2 x + 1) - 1
        Assert.Equal([6d, 10], first.Scale);
        Assert.Equal([7d, 4], first.Shift);
        var last = each.Then(one); // 2 (3 x + 4) + 1, 2 (5 x - 1) + 1
        Assert.Equal([6d, 10], last.Scale);
        Assert.Equal([9d, -1], last.Shift);
        Assert.Equal((1, 2, 2), (one.Channels, each.Channels, first.Channels));
        Assert.Equal(each.Scale, ChannelAffine.Identity.Then(each).Scale);
        Assert.Equal(each.Shift, each.Then(ChannelAffine.Identity).Shift);
    }

    [Fact]
    public void One_element_stands_for_every_channel()
    {
        ChannelAffine mixed = new([2], [0, 3]);
        Assert.Equal(2, mixed.Channels);
        Assert.Equal((2, 2, 0, 3), (mixed.ScaleOf(0), mixed.ScaleOf(1), mixed.ShiftOf(0), mixed.ShiftOf(1)));
        Assert.False(mixed.ShiftsNothing);
        Assert.True(new ChannelAffine([2, 3], [0, 0]).ShiftsNothing);
    }
}
