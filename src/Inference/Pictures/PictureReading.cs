using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>How pictures of other sizes become the model's. A model says it in its metadata, so that training and serving read alike.</summary>
/// <param name="Antialias">
/// Whether every source pixel counts when a picture is made smaller (a triangle filter as wide as the step); else what stock ML.NET's ResizeImages does.
/// </param>
/// <param name="ApplyOrientation">Whether a photo is turned as its EXIF orientation says; else it stays as the camera's sensor stored it, as in stock ML.NET.</param>
public sealed record PictureReading(bool Antialias = false, bool ApplyOrientation = false)
{
    /// <summary>As stock ML.NET reads: the default.</summary>
    public static PictureReading Stock { get; } = new();

    /// <summary>What stock ML.NET cannot do, in words; null where it reads the same bytes.</summary>
    public string? WithoutStockTwin => (Antialias, ApplyOrientation) switch
    {
        (true, true) => "antialiased resizing and EXIF orientation",
        (true, false) => "antialiased resizing",
        (false, true) => "EXIF orientation",
        _ => null,
    };

    /// <summary>Turns a decoded picture upright.</summary>
    internal static SKBitmap Upright(SKBitmap source, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft) return source;
        using (source)
        {
            int w = source.Width, h = source.Height;
            var isTurned = origin >= SKEncodedOrigin.LeftTop;
            var target = new SKBitmap(source.Info with { Width = isTurned ? h : w, Height = isTurned ? w : h });
            var from = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(source.GetPixelSpan());
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
