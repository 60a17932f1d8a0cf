namespace TorchBridge.Serving.Tests.Protocol;

public class BFloat16BitsTests
{
    [Fact]
    public void All_finite_bits_come_back_and_rounding_takes_the_nearest()
    {
        for (var bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var value = new BFloat16Bits((ushort)bits).ToSingle();
            if (!float.IsFinite(value))
                continue;
            Assert.Equal(bits, BFloat16Bits.From(value).Bits);
        }
    }

    [Theory]
    [InlineData(1.00390625f, 0x3F80)] // halfway between 1 and 1.0078125: to the even one
    [InlineData(1.01171875f, 0x3F82)] // halfway again: up to the even one
    [InlineData(1.0040f, 0x3F81)]
    [InlineData(-1.00390625f, 0xBF80)]
    [InlineData(float.PositiveInfinity, 0x7F80)]
    [InlineData(3.4e38f, 0x7F80)] // beyond the largest
    public void Halves_go_to_the_even_one(float value, int expected) =>
        Assert.Equal(expected, BFloat16Bits.From(value).Bits);
}
