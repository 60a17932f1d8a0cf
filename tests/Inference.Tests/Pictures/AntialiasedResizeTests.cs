using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests.Pictures;

/// <summary>Properties of the triangle filter: constants stay constant, halving gives means, and the middle is
/// cropped.</summary>
public class AntialiasedResizeTests
{
    [Theory]
    [InlineData(64, 64, 10, 10)]
    [InlineData(100, 31, 7, 20)]
    [InlineData(3, 2, 50, 40)]
    [InlineData(1, 1, 4, 4)]
    public void One_colour_stays_one_colour(int width, int height, int toWidth, int toHeight)
    {
        using var picture = new SKBitmap(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        picture.Erase(new SKColor(12, 130, 251));
        var planes = Resize(picture, toWidth, toHeight);
        var plane = toWidth * toHeight;
        Assert.All(planes[..plane], value => Assert.Equal(12, value));
        Assert.All(planes[plane..(2 * plane)], value => Assert.Equal(130, value));
        Assert.All(planes[(2 * plane)..], value => Assert.Equal(251, value));
    }

    [Theory]
    [InlineData(SKColorType.Rgba8888)]
    [InlineData(SKColorType.Bgra8888)]
    public void The_size_it_has_is_copied_in_either_order_of_colours(SKColorType order)
    {
        using var picture = new SKBitmap(5, 4, order, SKAlphaType.Unpremul);
        for (var row = 0; row < 4; row++)
        {
            for (var column = 0; column < 5; column++)
                picture.SetPixel(column, row, new SKColor((byte)(10 * column), (byte)(20 * row), (byte)(column + row)));
        }

        var planes = Resize(picture, 5, 4);
        for (var at = 0; at < 20; at++)
            Assert.Equal(
                (10 * (at % 5), 20 * (at / 5), (at % 5) + (at / 5)),
                (planes[at], planes[20 + at], planes[40 + at])
            );
    }

    /// <summary>A chessboard halved is grey: a filter without antialiasing would pick one of its colours.</summary>
    [Fact]
    public void A_chessboard_becomes_grey_when_it_is_made_small()
    {
        using var picture = new SKBitmap(64, 64, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        for (var row = 0; row < 64; row++)
        {
            for (var column = 0; column < 64; column++)
                picture.SetPixel(column, row, (row + column) % 2 == 0 ? SKColors.Black : SKColors.White);
        }

        Assert.All(Resize(picture, 8, 8), value => Assert.InRange(value, 126, 129));
    }

    [Fact]
    public void Of_a_wide_picture_the_middle_is_taken()
    {
        using var picture = new SKBitmap(30, 10, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        picture.Erase(SKColors.Red);
        for (var row = 0; row < 10; row++)
        {
            for (var column = 10; column < 20; column++)
                picture.SetPixel(column, row, SKColors.Lime);
        }

        var planes = Resize(picture, 10, 10);
        Assert.All(planes[100..200], value => Assert.Equal(255, value));
        Assert.All(planes[..100], value => Assert.Equal(0, value));
    }

    private static byte[] Resize(SKBitmap picture, int width, int height)
    {
        var planes = new byte[3 * width * height];
        AntialiasedResize.Write(picture, width, height, planes);
        return planes;
    }
}
