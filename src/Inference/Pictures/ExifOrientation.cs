using System.Runtime.InteropServices;
using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>Applies the eight orientations that EXIF defines.</summary>
internal static class ExifOrientation
{
    /// <summary>Rotates or mirrors a decoded picture upright.</summary>
    /// <param name="source">Picture with four bytes per pixel; disposed unless it is already upright and
    /// returned.</param>
    /// <param name="origin">Position of the stored picture's first pixel in the upright picture.</param>
    /// <returns>The upright picture, with width and height swapped if it was stored sideways.</returns>
    public static SKBitmap Upright(SKBitmap source, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft)
            return source;
        using (source)
        {
            int width = source.Width,
                height = source.Height;
            var isTurned = origin >= SKEncodedOrigin.LeftTop;
            var target = new SKBitmap(
                source.Info with
                {
                    Width = isTurned ? height : width,
                    Height = isTurned ? width : height,
                }
            );
            var from = MemoryMarshal.Cast<byte, uint>(source.GetPixelSpan());
            Span<uint> to;
            unsafe
            {
                to = new Span<uint>((void*)target.GetPixels(), width * height);
            }

            for (var line = 0; line < target.Height; line++)
            {
                for (var across = 0; across < target.Width; across++)
                {
                    var (column, row) = origin switch
                    {
                        SKEncodedOrigin.TopRight => (width - 1 - across, line),
                        SKEncodedOrigin.BottomRight => (width - 1 - across, height - 1 - line),
                        SKEncodedOrigin.BottomLeft => (across, height - 1 - line),
                        SKEncodedOrigin.LeftTop => (line, across),
                        SKEncodedOrigin.RightTop => (line, height - 1 - across),
                        SKEncodedOrigin.RightBottom => (width - 1 - line, height - 1 - across),
                        _ => (width - 1 - line, across),
                    };
                    to[(line * target.Width) + across] = from[(row * width) + column];
                }
            }

            return target;
        }
    }
}
