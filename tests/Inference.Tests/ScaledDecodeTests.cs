using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Inference.Tests;

/// <summary>A large JPEG that is made much smaller is decoded at a fraction of its size, with nearly the same
/// result.</summary>
public class ScaledDecodeTests
{
    [Theory]
    [InlineData(1600, 1200, 224)]
    [InlineData(1201, 1603, 224)]
    [InlineData(900, 700, 64)]
    [InlineData(470, 460, 224)]
    public void A_reduced_decode_differs_by_a_grey_level_in_the_mean_and_little_anywhere(
        int width,
        int height,
        int side
    )
    {
        var reading = new PictureReading(Antialias: true);
        var (jpeg, same) = Photo(width, height);
        byte[] reduced = new byte[3 * side * side],
            whole = new byte[3 * side * side];
        PictureReader.Read(jpeg, "photo.jpg", side, side, reduced, reading);
        // A PNG of the decoded pixels has no blocks: it is read whole.
        PictureReader.Read(same, "photo.png", side, side, whole, reading);
        var differences = reduced.Zip(whole, (a, b) => Math.Abs(a - b)).ToArray();
        Assert.True(differences.Average() <= 1, $"mean {differences.Average():F3}");
        Assert.True(differences.Max() <= 16, $"largest {differences.Max()}");
    }

    [Fact]
    public void Without_antialiasing_nothing_is_reduced()
    {
        var (jpeg, same) = Photo(900, 700);
        byte[] first = new byte[3 * 64 * 64],
            second = new byte[3 * 64 * 64];
        PictureReader.Read(jpeg, "photo.jpg", 64, 64, first);
        PictureReader.Read(same, "photo.png", 64, 64, second);
        Assert.Equal(second, first);
    }

    /// <summary>Shapes with sharp and soft edges, as JPEG, and its decoded pixels as PNG.</summary>
    private static (byte[] Jpeg, byte[] Png) Photo(int width, int height)
    {
        using var bitmap = new SKBitmap(width, height, isOpaque: true);
        using (var canvas = new SKCanvas(bitmap))
        using (var paint = new SKPaint { IsAntialias = true })
        {
            paint.Shader = SKShader.CreateLinearGradient(
                new SKPoint(0, 0),
                new SKPoint(width, height),
                [SKColors.DarkBlue, SKColors.Orange],
                SKShaderTileMode.Clamp
            );
            canvas.DrawPaint(paint);
            paint.Shader = null;
            for (var i = 0; i < 40; i++)
            {
                paint.Color = new SKColor((byte)(i * 53), (byte)(i * 97), (byte)(i * 31));
                canvas.DrawCircle(i * 211 % width, i * 137 % height, 10 + (i * 7 % 120), paint);
            }
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 92);
        var jpeg = data.ToArray();
        using var decoded = SKBitmap.Decode(jpeg);
        using var png = decoded.Encode(SKEncodedImageFormat.Png, 100);
        return (jpeg, png.ToArray());
    }
}
