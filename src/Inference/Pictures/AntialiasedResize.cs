// What it does: fills width x height with the centre of a picture, each pixel the weighted mean of the source pixels
// near it.
//   scale = min(w / W, h / H) source pixels per pixel; the source window of W scale x H scale is centred;
//   out(i) = sum_j t((j + 0.5 - c_i) / max(1, scale)) in(j) / sum of weights,  c_i = start + (i + 0.5) scale,
//   t(d) = max(0, 1 - |d|)
// the same along rows and columns, in float32, rounded once. Source: the triangle filter with antialiasing of Pillow
// (resize with BILINEAR) and torchvision (antialias=True).
using SkiaSharp;

namespace TorchBridge.Inference.Pictures;

/// <summary>
/// Resizes with a triangle filter as wide as the step, like Pillow and torchvision with antialiasing: every source
/// pixel contributes.
/// </summary>
internal static class AntialiasedResize
{
    /// <summary>Writes the scaled centre of the picture as red, green and blue planes.</summary>
    /// <param name="source">A decoded picture, four bytes per pixel in BGRA or RGBA order.</param>
    /// <param name="width">Width of the result in pixels.</param>
    /// <param name="height">Height of the result in pixels.</param>
    /// <param name="planes">Receives 3 x height x width bytes.</param>
    public static void Write(SKBitmap source, int width, int height, Span<byte> planes)
    {
        var scale = Math.Min((double)source.Width / width, (double)source.Height / height);
        var columns = Taps(source.Width, width, scale);
        var rows = Taps(source.Height, height, scale);
        // Source rows are narrowed on demand, and only those that one row of the result reads are kept: a tall
        // picture has millions.
        var band = new Band(source, columns, rows.Max(row => row.Weights.Length));
        var line = new float[3 * width];
        for (var targetRow = 0; targetRow < height; targetRow++)
        {
            band.Sum(rows[targetRow].First, rows[targetRow].Weights, line);
            for (var column = 0; column < width; column++)
            {
                for (var channel = 0; channel < 3; channel++)
                    planes[(((channel * height) + targetRow) * width) + column] = (byte)
                        Math.Clamp(MathF.Round(line[(3 * column) + channel]), 0, 255);
            }
        }
    }

    /// <summary>The latest source rows, each narrowed to the width of the result.</summary>
    private sealed class Band(SKBitmap source, (int First, float[] Weights)[] columns, int height)
    {
        private readonly float[][] ring = new float[height][];

        /// <summary>The next source row to narrow.</summary>
        private int next;

        /// <summary>Computes the weighted sum of source rows. Rows must be requested from top to bottom.</summary>
        /// <param name="first">First source row.</param>
        /// <param name="weights">One weight per source row; they sum to one.</param>
        /// <param name="line">Receives 3 x width sums: red, green and blue of each pixel.</param>
        public void Sum(int first, float[] weights, float[] line)
        {
            next = Math.Max(next, first);
            for (; next < first + weights.Length; next++)
                Narrow(next, ring[next % height] ??= new float[line.Length]);
            Array.Clear(line);
            for (var tap = 0; tap < weights.Length; tap++)
            {
                var (weight, row) = (weights[tap], ring[(first + tap) % height]);
                for (var index = 0; index < line.Length; index++)
                    line[index] += weight * row[index];
            }
        }

        /// <summary>
        /// Narrows one source row to the width of the result: weighted means of its pixels, in float32.
        /// </summary>
        private void Narrow(int y, float[] narrow)
        {
            var pixels = source.GetPixels() + (nint)((long)y * source.RowBytes);
            ReadOnlySpan<byte> line;
            unsafe
            {
                line = new ReadOnlySpan<byte>((void*)pixels, source.Width * 4);
            }

            var (red, blue) = source.ColorType == SKColorType.Bgra8888 ? (2, 0) : (0, 2);
            for (var column = 0; column < columns.Length; column++)
            {
                var (first, weights) = columns[column];
                float redSum = 0,
                    greenSum = 0,
                    blueSum = 0;
                for (var tap = 0; tap < weights.Length; tap++)
                {
                    var at = 4 * (first + tap);
                    redSum += weights[tap] * line[at + red];
                    greenSum += weights[tap] * line[at + 1];
                    blueSum += weights[tap] * line[at + blue];
                }

                narrow[3 * column] = redSum;
                narrow[(3 * column) + 1] = greenSum;
                narrow[(3 * column) + 2] = blueSum;
            }
        }
    }

    /// <summary>
    /// The source pixels that contribute to each pixel of the result, with weights that sum to one.
    /// </summary>
    /// <param name="source">Number of source pixels along the axis.</param>
    /// <param name="target">Number of result pixels along the axis.</param>
    /// <param name="scale">Source pixels per pixel of the result.</param>
    /// <returns>For each pixel of the result, the first source pixel and the weights from there on, which sum to
    /// 1.</returns>
    private static (int First, float[] Weights)[] Taps(int source, int target, double scale)
    {
        var start = (source - (target * scale)) / 2;
        var reach = Math.Max(1, scale);
        var taps = new (int, float[])[target];
        for (var index = 0; index < target; index++)
        {
            var centre = start + ((index + 0.5) * scale);
            int first = Math.Max(0, (int)Math.Floor(centre - reach)),
                last = Math.Min(source - 1, (int)Math.Ceiling(centre + reach));
            var weights = Enumerable
                .Range(first, last - first + 1)
                .Select(j => Math.Max(0, 1 - (Math.Abs(j + 0.5 - centre) / reach)))
                .ToArray();
            var sum = weights.Sum();
            taps[index] = (first, Array.ConvertAll(weights, weight => (float)(weight / sum)));
        }

        return taps;
    }
}
