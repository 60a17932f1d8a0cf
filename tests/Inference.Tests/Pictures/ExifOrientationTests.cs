using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests.Pictures;

/// <summary>The eight orientations, checked by the position of the first pixel and of its right neighbour.</summary>
public class ExifOrientationTests
{
    [Theory]
    [InlineData(SKEncodedOrigin.TopLeft, 3, 2, 0, 0, 1, 0)]
    [InlineData(SKEncodedOrigin.TopRight, 3, 2, 2, 0, 1, 0)]
    [InlineData(SKEncodedOrigin.BottomRight, 3, 2, 2, 1, 1, 1)]
    [InlineData(SKEncodedOrigin.BottomLeft, 3, 2, 0, 1, 1, 1)]
    [InlineData(SKEncodedOrigin.LeftTop, 2, 3, 0, 0, 0, 1)]
    [InlineData(SKEncodedOrigin.RightTop, 2, 3, 1, 0, 1, 1)]
    [InlineData(SKEncodedOrigin.RightBottom, 2, 3, 1, 2, 1, 1)]
    [InlineData(SKEncodedOrigin.LeftBottom, 2, 3, 0, 2, 0, 1)]
    public void A_picture_is_turned_and_mirrored_as_its_tag_says(
        SKEncodedOrigin origin,
        int width,
        int height,
        int firstColumn,
        int firstRow,
        int secondColumn,
        int secondRow
    )
    {
        var stored = new SKBitmap(3, 2, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        stored.Erase(SKColors.White);
        stored.SetPixel(0, 0, SKColors.Red);
        stored.SetPixel(1, 0, SKColors.Lime);
        using var upright = ExifOrientation.Upright(stored, origin);
        Assert.Equal((width, height), (upright.Width, upright.Height));
        Assert.Equal(SKColors.Red, upright.GetPixel(firstColumn, firstRow));
        Assert.Equal(SKColors.Lime, upright.GetPixel(secondColumn, secondRow));
    }
}
