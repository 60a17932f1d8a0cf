using TorchBridge.Quantization.Plan;

namespace TorchBridge.Quantization.Tests.Plan;

/// <summary>Compares with the definitions of QuantizeLinear and DequantizeLinear, for many ranges.</summary>
public class AffineScaleTests
{
    public static TheoryData<bool> Signs => [true, false];

    [Theory]
    [MemberData(nameof(Signs))]
    public void Zero_is_exact_and_numbers_inside_come_back_within_half_a_step(bool isSigned)
    {
        var random = new Random(5);
        for (var round = 0; round < 500; round++)
        {
            var (one, other) = (Number(random), Number(random));
            var (low, high) = (Math.Min(one, other), Math.Max(one, other));
            var scale = AffineScale.Of(low, high, isSigned);
            Assert.Equal(0, scale.Dequantize(scale.Quantize(0)));
            var value = (float)(Math.Min(low, 0) + (random.NextDouble() * (Math.Max(high, 0) - Math.Min(low, 0))));
            // The zero point is rounded too: at the ends of the range that costs another half step.
            Assert.InRange(Math.Abs(scale.Dequantize(scale.Quantize(value)) - value), 0, scale.Scale * 1.001);
        }
    }

    [Theory]
    [InlineData(true, -128, 127)]
    [InlineData(false, 0, 255)]
    public void Numbers_outside_saturate(bool isSigned, int least, int most)
    {
        var scale = AffineScale.Of(-1, 1, isSigned);
        Assert.Equal(least, scale.Quantize(float.NegativeInfinity));
        Assert.Equal(most, scale.Quantize(1e30f));
    }

    [Fact]
    public void Halves_are_rounded_to_the_even_integer()
    {
        var scale = new AffineScale(1, 0, IsSigned: true);
        Assert.Equal([0, 2, 2, -2], new[] { 0.5f, 1.5f, 2.5f, -1.5f }.Select(scale.Quantize));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 1e-42)]
    public void Where_nothing_but_zero_was_seen_the_scale_is_one(double low, double high) =>
        Assert.Equal(1, AffineScale.Of(low, high, isSigned: true).Scale);

    [Theory]
    [InlineData(0, 255, false, 1, 0)]
    [InlineData(-255, 0, false, 1, 255)]
    [InlineData(-127.5, 127.5, false, 1, 128)] // halves to even
    [InlineData(-128.5, 126.5, false, 1, 128)]
    [InlineData(0, 255, true, 1, -128)]
    [InlineData(-255, 0, true, 1, 127)]
    [InlineData(-128, 127, true, 1, 0)]
    [InlineData(51, 510, false, 2, 0)] // widened to hold zero, on either side
    [InlineData(-510, -51, true, 2, 127)]
    [InlineData(0, 0, true, 1, -128)]
    [InlineData(0, 0, false, 1, 0)]
    public void The_steps_reach_from_end_to_end_and_zero_is_one_of_them(
        double low,
        double high,
        bool isSigned,
        float scale,
        int zeroPoint
    ) => Assert.Equal(new AffineScale(scale, zeroPoint, isSigned), AffineScale.Of(low, high, isSigned));

    private static double Number(Random random) => (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 6));
}
