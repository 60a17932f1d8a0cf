// What it does: fills width x height with the middle of a picture, each pixel the weighted mean of all source pixels near it.
//   scale = min(w / W, h / H) source pixels a pixel; the source window of W scale x H scale lies in the middle;
//   out(i) = sum_j t((j + 0.5 - c_i) / max(1, scale)) in(j) / sum of weights,  c_i = start + (i + 0.5) scale,  t(d) = max(0, 1 - |d|)
// the same along rows and columns, in float32, rounded once.
// Source: the triangle filter with antialiasing of Pillow (resize with BILINEAR) and torchvision (antialias=True).
using System.Buffers;
using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>Resizes with a triangle filter.</summary>
internal static class AntialiasedResize
{
    /// <summary>Writes planes of red, green and blue.</summary>
    public static void Write(SKBitmap source, int width, int height, Span<byte> planes)
    {
        var scale = Math.Min((double)source.Width / width, (double)source.Height / height);
        // A photo has some hundred rows of the narrow picture: pooled, they are not garbage a picture.
        var narrow = ArrayPool<float>.Shared.Rent(source.Height * width * 3);
        try
        {
            AlongRows(source, width, Taps(source.Width, width, scale), narrow);
            AlongColumns(narrow, width, height, Taps(source.Height, height, scale), planes);
        }
        finally
        {
            ArrayPool<float>.Shared.Return(narrow);
        }
    }

    /// <summary>Makes [source height, width, 3] of a picture.</summary>
    private static void AlongRows(SKBitmap source, int width, (int First, float[] Weights)[] columns, Span<float> narrow)
    {
        var pixels = source.GetPixelSpan();
        var (red, blue) = source.ColorType == SKColorType.Bgra8888 ? (2, 0) : (0, 2);
        for (var y = 0; y < source.Height; y++)
        {
            var line = pixels.Slice(y * source.RowBytes, source.Width * 4);
            for (var x = 0; x < width; x++)
            {
                var (first, weights) = columns[x];
                float r = 0, g = 0, b = 0;
                for (var k = 0; k < weights.Length; k++)
                {
                    var at = 4 * (first + k);
                    r += weights[k] * line[at + red];
                    g += weights[k] * line[at + 1];
                    b += weights[k] * line[at + blue];
                }

                var to = 3 * ((y * width) + x);
                (narrow[to], narrow[to + 1], narrow[to + 2]) = (r, g, b);
            }
        }
    }

    /// <summary>Makes planes of [source height, width, 3].</summary>
    private static void AlongColumns(ReadOnlySpan<float> narrow, int width, int height, (int First, float[] Weights)[] rows, Span<byte> planes)
    {
        for (var y = 0; y < height; y++)
        {
            var (first, weights) = rows[y];
            for (var x = 0; x < width; x++)
            {
                for (var c = 0; c < 3; c++)
                {
                    float sum = 0;
                    for (var k = 0; k < weights.Length; k++) sum += weights[k] * narrow[(3 * (((first + k) * width) + x)) + c];
                    planes[(((c * height) + y) * width) + x] = (byte)Math.Clamp(MathF.Round(sum), 0, 255);
                }
            }
        }
    }

    private static (int First, float[] Weights)[] Taps(int source, int target, double scale)
    {
        var start = (source - (target * scale)) / 2;
        var reach = Math.Max(1, scale);
        var taps = new (int, float[])[target];
        for (var i = 0; i < target; i++)
        {
            var centre = start + ((i + 0.5) * scale);
            int first = Math.Max(0, (int)Math.Floor(centre - reach)), last = Math.Min(source - 1, (int)Math.Ceiling(centre + reach));
            var weights = Enumerable.Range(first, last - first + 1).Select(j => Math.Max(0, 1 - (Math.Abs(j + 0.5 - centre) / reach))).ToArray();
            var sum = weights.Sum();
            taps[i] = (first, Array.ConvertAll(weights, weight => (float)(weight / sum)));
        }

        return taps;
    }
}
