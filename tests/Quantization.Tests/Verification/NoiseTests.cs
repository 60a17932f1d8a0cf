using TorchBridge.Quantization.Verification;

namespace TorchBridge.Quantization.Tests.Verification;

public class NoiseTests
{
    [Fact]
    public void Ten_decibels_are_a_tenth_of_the_power()
    {
        var noise = new Noise();
        noise.Add<double>([3, 4], [3, 4 + Math.Sqrt(2.5)]);
        Assert.Equal(10, noise.Decibels, 6); // 25 of signal, 2.5 of noise
        Assert.Equal(0.5, noise.Equal);
        Assert.Equal(4, noise.LargestValue);
        Assert.Equal(Math.Sqrt(2.5), noise.Largest, 6);
    }

    [Fact]
    public void Numbers_add_up_over_batches()
    {
        var (whole, parts) = (new Noise(), new Noise());
        whole.Add<float>([1, 2, 3, 4], [1, 2.5f, 3, 3]);
        parts.Add<float>([1, 2], [1, 2.5f]);
        parts.Add<float>([3, 4], [3, 3]);
        Assert.Equal(whole.Decibels, parts.Decibels, 9);
        Assert.Equal(4, parts.Count);
    }

    [Fact]
    public void Equal_numbers_are_exact_and_the_same_infinity_is_no_noise()
    {
        var noise = new Noise();
        noise.Add<float>([1, float.NaN, float.PositiveInfinity], [1, float.NaN, float.PositiveInfinity]);
        Assert.Equal(Noise.Exact, noise.Decibels);
        Assert.Equal(1, noise.Equal);
    }

    [Fact]
    public void A_number_that_is_lost_is_all_noise()
    {
        var noise = new Noise();
        noise.Add<float>([1, 2], [1, float.NaN]);
        Assert.Equal(-Noise.Exact, noise.Decibels);
    }
}
