using SkiaSharp;

namespace TorchBridge.Testing;

/// <summary>Makes encoded pictures for tests.</summary>
public static class TestPictures
{
    /// <summary>Writes PNG files <c>00.png</c>, <c>01.png</c>… into a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="count">Number of files.</param>
    /// <param name="encoded">The content of each file.</param>
    /// <returns>The paths of the files.</returns>
    public static string[] Write(TempFolder folder, int count, Func<int, byte[]> encoded) =>
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    var path = folder[$"{i:D2}.png"];
                    File.WriteAllBytes(path, encoded(i));
                    return path;
                }),
        ];

    /// <summary>Encodes a picture in which no two pixels are equal, so that a shift or swapped channels are
    /// detected.</summary>
    public static byte[] Encode(
        int width,
        int height,
        SKEncodedImageFormat format,
        SKAlphaType alpha = SKAlphaType.Opaque,
        SKColorType color = SKColorType.Rgba8888,
        int seed = 0
    )
    {
        using var bitmap = new SKBitmap(
            new SKImageInfo(
                width,
                height,
                SKColorType.Rgba8888,
                alpha == SKAlphaType.Opaque ? SKAlphaType.Opaque : SKAlphaType.Unpremul
            )
        );
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var a = alpha == SKAlphaType.Opaque ? 255 : (x * 255 / Math.Max(1, width - 1));
                bitmap.SetPixel(
                    x,
                    y,
                    new SKColor(
                        (byte)((x * 7) + (y * 3) + seed),
                        (byte)((x * x) + (y * 11)),
                        (byte)((x * y) + (seed * 5)),
                        (byte)a
                    )
                );
            }
        }

        if (color == SKColorType.Gray8)
        {
            using var gray = bitmap.Copy(SKColorType.Gray8);
            using var grayData = gray.Encode(format, 90);
            return grayData.ToArray();
        }

        using var data = bitmap.Encode(format, 90);
        return data.ToArray();
    }
}
