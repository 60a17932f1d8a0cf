using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Tests.Networks;

/// <summary>After the whitening layer, patches are not correlated, and have variance 1.</summary>
public class PatchWhiteningTests
{
    [Theory]
    [InlineData("drawn")]
    [InlineData("noise")]
    [InlineData("rectangular")]
    public void The_covariance_behind_it_is_the_identity(string kind)
    {
        using var scope = NewDisposeScope();
        var pictures = kind switch
        {
            "drawn" => DrawnPictures.Make(3, 96, 32, 32).Training,
            "noise" => Noise(40, 12, 12),
            _ => Noise(30, 9, 20),
        };
        var statistics = ChannelStatistics.Of(pictures);
        var weights = PatchWhitening.Weights(pictures, statistics);
        Assert.Equal([24, 3, 2, 2], weights.shape);
        Assert.Equal(-weights[..12], weights[12..]);
        // By the convolution itself, in float64, over all pictures at once.
        var pixels = stack(
            Enumerable
                .Range(0, pictures.Count)
                .Select(i => tensor(pictures.Picture(i).ToArray()).view(3, pictures.Height, pictures.Width))
        );
        var normalized =
            ((pixels.to(ScalarType.Float64) / 255) - tensor(statistics.Mean).view(1, 3, 1, 1))
            / tensor(statistics.Std).view(1, 3, 1, 1);
        var outputs = nn
            .functional.conv2d(normalized, weights[..12].to(ScalarType.Float64))
            .permute(1, 0, 2, 3)
            .reshape(12, -1);
        var centred = outputs - outputs.mean([1], keepdim: true);
        var covariance = centred.mm(centred.t()) / outputs.shape[1];
        Assert.InRange((covariance - eye(12, dtype: ScalarType.Float64)).abs().max().item<double>(), 0, 1e-3);
    }

    [Fact]
    public void Pictures_without_colour_are_not_blown_up()
    {
        using var scope = NewDisposeScope();
        var grey = Noise(20, 10, 10);
        var plane = grey.Height * grey.Width;
        for (var i = 0; i < grey.Count; i++)
        {
            var picture = grey.Pixels.AsSpan(i * grey.Stride, grey.Stride);
            picture[..plane].CopyTo(picture[plane..]);
            picture[..plane].CopyTo(picture[(2 * plane)..]);
        }

        var weights = PatchWhitening.Weights(grey, ChannelStatistics.Of(grey));
        Assert.True(weights.isfinite().all().item<bool>());
        // Variances below 1e-6 count as that: a filter is at most 1000 long.
        Assert.InRange(weights.flatten(1).norm(1).max().item<float>(), 0, 1000.1);
    }

    [Fact]
    public void One_colour_everywhere_gives_numbers_too()
    {
        using var scope = NewDisposeScope();
        var flat = new PictureSet([.. Enumerable.Repeat((byte)7, 5 * 3 * 9 * 9)], new int[5], 9, 9);
        Assert.True(PatchWhitening.Weights(flat, ChannelStatistics.Of(flat)).isfinite().all().item<bool>());
    }

    private static PictureSet Noise(int count, int height, int width)
    {
        var pixels = new byte[count * 3 * height * width];
        new Random(5).NextBytes(pixels);
        // Neighbours and channels that have to do with each other, as in pictures.
        for (var i = 1; i < pixels.Length; i++)
            pixels[i] = (byte)(((3 * pixels[i - 1]) + pixels[i]) / 4);
        return new PictureSet(pixels, new int[count], height, width);
    }
}
