using System.Runtime.InteropServices;
using SkiaSharp;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Http;

/// <summary>Converts the pixels that the network received back to a picture.</summary>
internal static class SeenPicture
{
    /// <summary>The first picture of a tensor [n, 3, height, width] of values 0 to 255, as PNG.</summary>
    /// <param name="pixels">An FP32 tensor [n, 3, height, width].</param>
    public static byte[] ToPng(Tensor pixels)
    {
        var values = MemoryMarshal.Cast<byte, float>(pixels.Data.Span);
        var (height, width) = ((int)pixels.Shape[2], (int)pixels.Shape[3]);
        var planes = new byte[3 * height * width];
        for (var index = 0; index < planes.Length; index++)
            planes[index] = (byte)values[index];
        return ToPng(planes, width, height);
    }

    /// <summary>Encodes planes of red, green and blue as PNG.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="width">Size in pixels.</param>
    /// <param name="height">Size in pixels.</param>
    /// <returns>A PNG file.</returns>
    public static byte[] ToPng(ReadOnlySpan<byte> planes, int width, int height)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        var count = width * height;
        var target = new byte[4 * count];
        for (var index = 0; index < count; index++)
        {
            target[4 * index] = planes[index];
            target[(4 * index) + 1] = planes[count + index];
            target[(4 * index) + 2] = planes[(2 * count) + index];
            target[(4 * index) + 3] = byte.MaxValue;
        }

        Marshal.Copy(target, 0, bitmap.GetPixels(), target.Length);
        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }
}
