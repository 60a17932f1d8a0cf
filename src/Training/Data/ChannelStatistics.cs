namespace TorchBridge.Training.Data;

/// <summary>Mean and standard deviation of each channel over all pictures, with pixels scaled to 0 to 1.</summary>
/// <param name="Mean">Red, green, blue.</param>
/// <param name="Std">Red, green, blue; never 0.</param>
internal sealed record ChannelStatistics(double[] Mean, double[] Std)
{
    /// <summary>Computes the statistics of a set; sums are exact integers.</summary>
    /// <param name="set">The training part; the other parts must not be used.</param>
    public static ChannelStatistics Of(PictureSet set)
    {
        var plane = set.Height * set.Width;
        long[] sum = new long[3],
            squares = new long[3];
        byte[]? buffer = null;
        for (var i = 0; i < set.Count; i++)
        {
            var picture = set.Picture(i, ref buffer);
            for (var pixel = 0; pixel < picture.Length; pixel++)
            {
                sum[pixel / plane] += picture[pixel];
                squares[pixel / plane] += picture[pixel] * picture[pixel];
            }
        }

        var count = (double)set.Count * plane;
        var mean = sum.Select(total => total / count / 255).ToArray();
        // A constant channel has no standard deviation to divide by; one grey level is the smallest difference
        // between bytes.
        var std = squares
            .Select(
                (total, c) =>
                    Math.Max(1.0 / 255, Math.Sqrt(Math.Max(0, (total / count / 255 / 255) - (mean[c] * mean[c]))))
            )
            .ToArray();
        return new ChannelStatistics(mean, std);
    }
}
