using TorchBridge.Quantization.Calibration;

namespace TorchBridge.Quantization.Tests.Calibration;

public class ValueHistogramTests
{
    [Fact]
    public void Every_number_but_zero_lies_in_a_bin_whose_middle_is_near_it()
    {
        var random = new Random(2);
        for (var round = 0; round < 50; round++)
        {
            var values = new float[100];
            for (var index = 0; index < values.Length; index++)
                values[index] =
                    random.Next(4) == 0 ? 0 : (float)((random.NextDouble() - 0.5) * Math.Pow(10, round % 7));
            var seen = new ValueHistogram();
            // In pieces, so that the width doubles on the way.
            foreach (var piece in values.Chunk(9))
                Assert.True(seen.Add(piece));
            Assert.Equal((values.Length, values.Min(), values.Max()), (seen.Count, (float)seen.Low, (float)seen.High));
            Assert.Equal(values.Count(value => value != 0), seen.Filled().Sum(bin => bin.Count));
            var middles = seen.Filled().Select(bin => bin.Middle).ToArray();
            Assert.All(values.Where(value => value != 0), value =>
                Assert.Contains(middles, middle => Math.Abs(middle - value) <= seen.BinWidth / 2)
            );
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_not_finite_is_told_and_not_counted(float value)
    {
        var seen = new ValueHistogram();
        Assert.False(seen.Add([1, value]));
        Assert.Equal(0, seen.Count);
    }

    [Fact]
    public void An_empty_batch_changes_nothing()
    {
        var seen = new ValueHistogram();
        Assert.True(seen.Add([]));
        Assert.Equal(0, seen.Count);
        Assert.Equal((double.PositiveInfinity, double.NegativeInfinity), (seen.Low, seen.High));
        Assert.Equal(0, seen.BinWidth);
    }

    /// <summary>The width is a power of two by the largest magnitude, of whichever sign: 4,096 bins on each
    /// side.</summary>
    [Theory]
    [InlineData(1f, 1 / 2048d)]
    [InlineData(-1f, 1 / 2048d)]
    [InlineData(1.99f, 1 / 2048d)]
    [InlineData(2f, 1 / 1024d)]
    [InlineData(-5000f, 2d)]
    public void Bins_are_the_finest_power_of_two_that_holds_the_largest_magnitude(float value, double width)
    {
        var seen = new ValueHistogram();
        Assert.True(seen.Add([value, value / 8, 0]));
        Assert.Equal(width, seen.BinWidth);
        Assert.Equal(
            new[] { value, value / 8 }.Order().Select(one => ((Math.Floor(one / width) + 0.5) * width, 1L)),
            seen.Filled()
        );
    }
}
