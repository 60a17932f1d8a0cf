using System.Runtime.InteropServices;
using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>The eight ways in which a camera may have been held, as EXIF numbers them.</summary>
internal static class ExifOrientation
{
    /// <summary>Turns a decoded picture upright.</summary>
    /// <param name="source">Four bytes per pixel; disposed, unless it is upright already and given back.</param>
    /// <param name="origin">Where the first pixel of the stored picture belongs.</param>
    /// <returns>The upright picture, of turned sizes where it lay on its side.</returns>
    public static SKBitmap Upright(SKBitmap source, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft)
            return source;
        using (source)
        {
            int w = source.Width,
                h = source.Height;
            var isTurned = origin >= SKEncodedOrigin.LeftTop;
            var target = new SKBitmap(source.Info with { Width = isTurned ? h : w, Height = isTurned ? w : h });
            var from = MemoryMarshal.Cast<byte, uint>(source.GetPixelSpan());
            Span<uint> to;
            unsafe
            {
                to = new Span<uint>((void*)target.GetPixels(), w * h);
            }

            for (var y = 0; y < target.Height; y++)
            {
                for (var x = 0; x < target.Width; x++)
                {
                    var (column, row) = origin switch
                    {
                        SKEncodedOrigin.TopRight => (w - 1 - x, y),
                        SKEncodedOrigin.BottomRight => (w - 1 - x, h - 1 - y),
                        SKEncodedOrigin.BottomLeft => (x, h - 1 - y),
                        SKEncodedOrigin.LeftTop => (y, x),
                        SKEncodedOrigin.RightTop => (y, h - 1 - x),
                        SKEncodedOrigin.RightBottom => (w - 1 - y, h - 1 - x),
                        _ => (w - 1 - y, x),
                    };
                    to[(y * target.Width) + x] = from[(row * w) + column];
                }
            }

            return target;
        }
    }
}
