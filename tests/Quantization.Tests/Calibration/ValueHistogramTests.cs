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
}
