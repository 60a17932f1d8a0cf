// What it does: varies a training picture, so that the network never sees exactly the same picture twice.
//   zoom           a random part of the picture, enlarged to its full size, bilinear: its share of the area from
//                  [z, 1], its aspect ratio exp(u) times the picture's with u from [-ln 4/3, ln 4/3], no side longer
//                  than the picture's; the sizes of Szegedy et al. 2015, "Going deeper with convolutions", section 6
//   random crop    a window of the picture's size from the picture padded by 4 pixels: black, or mirrored without
//                  the edge (dcb|abcd|cba), like ReflectionPad2d
//   flip           left to right: with probability 1/2; or, alternating, every second epoch, one half of the pictures
//                  in odd and the other half in even epochs, so that two epochs show each picture both ways; Jordan
//                  2024, "94% on CIFAR-10 in 3.29 Seconds", section 3.6
//   rotation       around the centre by an angle from [-r, r], bilinear between pixels; filled like a crop
//   window         a random part of the result, for cheaper steps in the first epochs
//   cutout         a square around a random centre is black, clipped at the edges; DeVries & Taylor 2017, "Cutout"
//   colour jitter  brightness, contrast and saturation, each by a factor from [1 - j, 1 + j], in this order; pixels
//                  stay in 0 to 255: brightness x b; contrast: grey + (x - grey) c, grey the mean luma; saturation:
//                  luma + (x - luma) s; luma = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)
// Input: planes [3, H, W] of bytes. Output: floats 0 to 255 in the order [H, W, 3], which is channels_last of a batch.
using System.Buffers;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Data;

/// <summary>Which pictures are flipped left to right.</summary>
internal enum FlipKind
{
    /// <summary>No picture is flipped.</summary>
    None,

    /// <summary>Each picture with probability 1/2.</summary>
    Random,

    /// <summary>Each picture in every second epoch.</summary>
    Alternating,
}

/// <summary>How the area around a cropped or rotated picture is filled.</summary>
internal enum FillKind
{
    /// <summary>Zeros.</summary>
    Black,

    /// <summary>Its mirror image.</summary>
    Reflect,
}

/// <summary>Options of augmentation.</summary>
/// <param name="CropPadding">Pixels of padding for the random crop; 0 for none.</param>
/// <param name="Flip">Which pictures are flipped.</param>
/// <param name="ColorJitter">j in the formula; 0 for none.</param>
/// <param name="Rotation">Largest angle in degrees; 0 for none.</param>
/// <param name="Cutout">Side length of the black square in pixels; 0 for none.</param>
/// <param name="Fill">How the area around the picture is filled.</param>
/// <param name="Zoom">z in the formula: smallest share of the picture's area that is cropped and enlarged; 1 for no
/// crop.</param>
internal sealed record AugmentationOptions(
    [property: Allowed(0, 512)] int CropPadding = 4,
    FlipKind Flip = FlipKind.Random,
    [property: Allowed(0, 1)] double ColorJitter = 0.2,
    [property: Allowed(0, 180)] double Rotation = 0,
    [property: Allowed(0, 512)] int Cutout = 0,
    FillKind Fill = FillKind.Black,
    [property: Allowed(0.01, 1)] double Zoom = 1
)
{
    /// <summary>No augmentation.</summary>
    public static AugmentationOptions None { get; } = new(0, FlipKind.None, 0);
}

/// <summary>Augments one picture.</summary>
internal static class Augmentation
{
    /// <summary>Writes an augmented picture.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="options">Options of augmentation.</param>
    /// <param name="draw">Randomness of this picture in this epoch.</param>
    /// <param name="target">height x width x 3 floats.</param>
    /// <param name="isFlipEpoch">Whether the picture is flipped in this epoch, if flips alternate.</param>
    public static void Apply(
        ReadOnlySpan<byte> planes,
        int height,
        int width,
        AugmentationOptions options,
        ref Draw draw,
        Span<float> target,
        bool isFlipEpoch = false
    )
    {
        byte[]? zoomed = null;
        if (options.Zoom < 1)
        {
            zoomed = ArrayPool<byte>.Shared.Rent(planes.Length);
            Enlarge(planes, height, width, options.Zoom, ref draw, zoomed);
            planes = zoomed.AsSpan(0, planes.Length);
        }

        int shiftX = 0,
            shiftY = 0;
        if (options.CropPadding > 0)
        {
            shiftX = draw.Below((2 * options.CropPadding) + 1) - options.CropPadding;
            shiftY = draw.Below((2 * options.CropPadding) + 1) - options.CropPadding;
        }

        var flip = options.Flip switch
        {
            FlipKind.Random => draw.Coin(),
            FlipKind.Alternating => isFlipEpoch,
            _ => false,
        };
        if (options.Rotation > 0)
            Rotate(
                planes,
                height,
                width,
                shiftX,
                shiftY,
                flip,
                draw.Uniform(-options.Rotation, options.Rotation) * Math.PI / 180,
                options.Fill,
                target
            );
        else
            Place(planes, height, width, shiftX, shiftY, flip, options.Fill, target);
        if (zoomed is not null)
            ArrayPool<byte>.Shared.Return(zoomed);
        if (options.ColorJitter > 0)
            Jitter(target, options.ColorJitter, ref draw);
        if (options.Cutout > 0)
            CutOut(target, height, width, options.Cutout, ref draw);
    }

    /// <summary>Writes a random part of a picture, enlarged to the picture's size.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="smallest">Smallest share of the area.</param>
    /// <param name="draw">Draws area, aspect ratio and position.</param>
    /// <param name="target">Receives 3 x height x width bytes.</param>
    private static void Enlarge(
        ReadOnlySpan<byte> planes,
        int height,
        int width,
        double smallest,
        ref Draw draw,
        Span<byte> target
    )
    {
        var area = draw.Uniform(smallest, 1);
        var ratio = Math.Exp(draw.Uniform(-1, 1) * Math.Log(4.0 / 3));
        double shareX = Math.Min(1, Math.Sqrt(area * ratio)),
            shareY = Math.Min(1, Math.Sqrt(area / ratio));
        var columns = Steps(width, shareX, draw.Uniform());
        var rows = Steps(height, shareY, draw.Uniform());
        var plane = height * width;
        for (var channel = 0; channel < 3; channel++)
        {
            for (var row = 0; row < height; row++)
            {
                var (top, low) = rows[row];
                var upper = planes.Slice((channel * plane) + (top * width), width);
                var lower = planes.Slice((channel * plane) + (Math.Min(top + 1, height - 1) * width), width);
                var line = target.Slice((channel * plane) + (row * width), width);
                for (var column = 0; column < width; column++)
                {
                    var (left, right) = columns[column];
                    var next = Math.Min(left + 1, width - 1);
                    var above = upper[left] + (right * (upper[next] - upper[left]));
                    var below = lower[left] + (right * (lower[next] - lower[left]));
                    line[column] = (byte)(above + (low * (below - above)) + 0.5f);
                }
            }
        }

        // The source position of each pixel along an axis: the source pixel before it and the fraction beyond that.
        // Pixels are squares with centres at .5.
        static (int Before, float Behind)[] Steps(int size, double share, double place)
        {
            var steps = new (int, float)[size];
            var start = place * size * (1 - share);
            for (var at = 0; at < size; at++)
            {
                var from = Math.Clamp(start + ((at + 0.5) * share) - 0.5, 0, size - 1);
                var before = (int)from;
                steps[at] = (before, (float)(from - before));
            }

            return steps;
        }
    }

    /// <summary>Copies a random window of a picture.</summary>
    /// <param name="picture">height x width x 3 floats.</param>
    /// <param name="height">Height of the picture in pixels.</param>
    /// <param name="width">Width of the picture in pixels.</param>
    /// <param name="rows">Height of the window, at most the picture's.</param>
    /// <param name="columns">Width of the window, at most the picture's.</param>
    /// <param name="draw">Randomness of this picture in this epoch.</param>
    /// <param name="target">rows x columns x 3 floats.</param>
    public static void Window(
        ReadOnlySpan<float> picture,
        int height,
        int width,
        int rows,
        int columns,
        ref Draw draw,
        Span<float> target
    )
    {
        int top = draw.Below(height - rows + 1),
            left = draw.Below(width - columns + 1);
        for (var row = 0; row < rows; row++)
            picture.Slice(3 * (((top + row) * width) + left), 3 * columns).CopyTo(target[(3 * columns * row)..]);
    }

    /// <summary>Writes the picture rotated around its centre, bilinear between pixels.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="shiftX">Pixels that the crop moves to the right.</param>
    /// <param name="shiftY">Pixels that the crop moves down.</param>
    /// <param name="flip">Whether left and right are swapped first.</param>
    /// <param name="angle">Angle in radians.</param>
    /// <param name="fill">How the area outside the picture is filled.</param>
    /// <param name="target">Receives height x width x 3 floats, 0 to 255.</param>
    private static void Rotate(
        ReadOnlySpan<byte> planes,
        int height,
        int width,
        int shiftX,
        int shiftY,
        bool flip,
        double angle,
        FillKind fill,
        Span<float> target
    )
    {
        var plane = height * width;
        double cos = Math.Cos(angle),
            sin = Math.Sin(angle),
            centreX = (width - 1) / 2.0,
            centreY = (height - 1) / 2.0;
        for (var line = 0; line < height; line++)
        {
            for (var across = 0; across < width; across++)
            {
                double dx = across - centreX,
                    dy = line - centreY;
                double turnedX = (cos * dx) + (sin * dy) + centreX,
                    turnedY = (cos * dy) - (sin * dx) + centreY;
                var fromX = (float)((flip ? width - 1 - turnedX : turnedX) + shiftX);
                var fromY = (float)(turnedY + shiftY);
                int left = (int)MathF.Floor(fromX),
                    top = (int)MathF.Floor(fromY),
                    to = 3 * ((line * width) + across);
                float right = fromX - left,
                    low = fromY - top;
                for (var channel = 0; channel < 3; channel++)
                {
                    var values = planes.Slice(channel * plane, plane);
                    target[to + channel] =
                        ((1 - low) * (((1 - right) * At(values, left, top)) + (right * At(values, left + 1, top))))
                        + (low * (((1 - right) * At(values, left, top + 1)) + (right * At(values, left + 1, top + 1))));
                }
            }
        }

        float At(ReadOnlySpan<byte> p, int x, int y) =>
            Source(y, height, fill) is >= 0 and var row && Source(x, width, fill) is >= 0 and var column
                ? p[(row * width) + column]
                : 0;
    }

    /// <summary>The row or column of the picture at a position along an axis; -1 for black.</summary>
    /// <param name="at">The position; below 0 and from <paramref name="size"/> on it is outside the picture.</param>
    /// <param name="size">Pixels along the axis.</param>
    /// <param name="fill">How the area outside is filled.</param>
    private static int Source(int at, int size, FillKind fill)
    {
        if (at >= 0 && at < size)
            return at;
        if (fill == FillKind.Black)
            return -1;
        if (size == 1)
            return 0;
        // Back and forth along the axis, without repeating the ends.
        var turn = 2 * (size - 1);
        var along = ((at % turn) + turn) % turn;
        return Math.Min(along, turn - along);
    }

    /// <summary>Blackens a square, clipped at the edges of the picture.</summary>
    /// <param name="pixels">height x width x 3 floats, changed in place.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="side">Side length of the square in pixels.</param>
    /// <param name="draw">Draws the centre, anywhere in the picture.</param>
    private static void CutOut(Span<float> pixels, int height, int width, int side, ref Draw draw)
    {
        int top = draw.Below(height) - (side / 2),
            left = draw.Below(width) - (side / 2);
        int from = Math.Max(0, left),
            to = Math.Min(width, left + side);
        for (var row = Math.Max(0, top); row < Math.Min(height, top + side); row++)
            pixels[(3 * ((row * width) + from))..(3 * ((row * width) + to))].Clear();
    }

    /// <summary>Writes the picture shifted and possibly flipped, without interpolation.</summary>
    /// <param name="planes">3 x height x width bytes.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="shiftX">Pixels that the crop moves to the right.</param>
    /// <param name="shiftY">Pixels that the crop moves down.</param>
    /// <param name="flip">Whether left and right are swapped.</param>
    /// <param name="fill">How the area outside the picture is filled.</param>
    /// <param name="target">Receives height x width x 3 floats, 0 to 255.</param>
    private static void Place(
        ReadOnlySpan<byte> planes,
        int height,
        int width,
        int shiftX,
        int shiftY,
        bool flip,
        FillKind fill,
        Span<float> target
    )
    {
        var plane = height * width;
        Span<int> columns = stackalloc int[width];
        for (var column = 0; column < width; column++)
            columns[column] = Source((flip ? width - 1 - column : column) + shiftX, width, fill);
        for (var targetRow = 0; targetRow < height; targetRow++)
        {
            var line = target.Slice(3 * width * targetRow, 3 * width);
            line.Clear();
            if (Source(targetRow + shiftY, height, fill) is not (>= 0 and var row))
                continue;
            ReadOnlySpan<byte> red = planes.Slice(row * width, width),
                green = planes.Slice(plane + (row * width), width),
                blue = planes.Slice((2 * plane) + (row * width), width);
            for (var column = 0; column < columns.Length; column++)
            {
                var from = columns[column];
                if (from < 0)
                    continue;
                line[3 * column] = red[from];
                line[(3 * column) + 1] = green[from];
                line[(3 * column) + 2] = blue[from];
            }
        }
    }

    /// <summary>Changes brightness, contrast and saturation, in this order.</summary>
    /// <param name="pixels">Rows of red, green and blue, 0 to 255, changed in place.</param>
    /// <param name="strength">Factors are drawn from [1 - strength, 1 + strength].</param>
    /// <param name="draw">Draws the three factors.</param>
    private static void Jitter(Span<float> pixels, double strength, ref Draw draw)
    {
        float Factor(ref Draw d) => (float)d.Uniform(1 - strength, 1 + strength);
        float brightness = Factor(ref draw),
            contrast = Factor(ref draw),
            saturation = Factor(ref draw);
        double sum = 0;
        for (var index = 0; index < pixels.Length; index += 3)
        {
            for (var channel = 0; channel < 3; channel++)
                pixels[index + channel] = Math.Clamp(pixels[index + channel] * brightness, 0, 255);
            sum += Luma(pixels[index..]);
        }

        var grey = (float)(sum / (pixels.Length / 3));
        for (var index = 0; index < pixels.Length; index += 3)
        {
            for (var channel = 0; channel < 3; channel++)
                pixels[index + channel] = Math.Clamp(grey + ((pixels[index + channel] - grey) * contrast), 0, 255);
            var luma = Luma(pixels[index..]);
            for (var channel = 0; channel < 3; channel++)
                pixels[index + channel] = Math.Clamp(luma + ((pixels[index + channel] - luma) * saturation), 0, 255);
        }
    }

    /// <summary>The luma of a pixel by ITU-R BT.601.</summary>
    /// <param name="rgb">Red, green and blue.</param>
    private static float Luma(ReadOnlySpan<float> rgb) => (0.299f * rgb[0]) + (0.587f * rgb[1]) + (0.114f * rgb[2]);
}
