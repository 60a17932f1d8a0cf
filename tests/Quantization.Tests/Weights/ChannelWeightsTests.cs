using TorchBridge.Quantization.Weights;

namespace TorchBridge.Quantization.Tests.Weights;

public class ChannelWeightsTests
{
    [Theory]
    [InlineData(127)]
    [InlineData(63)]
    public void A_channels_largest_number_takes_the_largest_integer(int largest)
    {
        // [2, 3]: two channels of three numbers.
        var weights = new ChannelWeights([0.5f, -2, 1, 0, 30, -10], 2, 3);
        var scales = weights.Scales(largest);
        Assert.Equal([2f / largest, 30f / largest], scales);
        var integers = weights.Round(scales, largest);
        Assert.Equal(-largest, integers[1]);
        Assert.Equal(largest, integers[4]);
        for (var index = 0; index < integers.Length; index++)
        {
            var scale = scales[weights.Channel(index)];
            Assert.InRange(Math.Abs((integers[index] * scale) - weights.Values[index]), 0, scale * 0.501f);
        }
    }

    [Fact]
    public void Channels_may_lie_along_the_last_axis_too()
    {
        // [2, 3] with the channels along axis 1: columns.
        var weights = new ChannelWeights([1, 2, 3, 4, 5, 6], 3, 1);
        Assert.Equal([0, 1, 2, 0, 1, 2], Enumerable.Range(0, 6).Select(weights.Channel));
        Assert.Equal([4f, 5f, 6f], weights.Scales(1));
    }

    [Fact]
    public void A_channel_of_zeros_has_the_scale_one_and_a_least_scale_is_kept()
    {
        var weights = new ChannelWeights([0, 0, 127, 0], 2, 2);
        Assert.Equal([1f, 1f], weights.Scales(127));
        Assert.Equal([1f, 5f], weights.Scales(127, channel => channel == 1 ? 5 : 0));
    }

    [Fact]
    public void Halves_are_rounded_to_even_and_too_large_numbers_are_saturated_at_both_ends()
    {
        var weights = new ChannelWeights([0.5f, 1.5f, -2.5f, 200, -200, -1.5f], 1, 6);
        Assert.Equal([0, 2, -2, 127, -127, -2], weights.Round([1], 127));
        Assert.Equal([0, 2, -2, 63, -63, -2], weights.Round([1], 63));
    }

    /// <summary>Weights so small that their scale is not a normal float32 are treated as zero.</summary>
    [Fact]
    public void A_scale_below_the_normal_numbers_is_one() =>
        Assert.Equal([1f], new ChannelWeights([1e-37f], 1, 1).Scales(127));
}
