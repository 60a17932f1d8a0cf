// What it does: draws ten classes of shapes at 32 x 32 RGB, deterministic from a seed. Position, size, rotation,
// colours, a background gradient, stray lines and noise vary freely, so that no single pixel is informative: a linear
// classifier has a low accuracy, a convolutional network a high one. Shapes are signed distance functions (negative
// inside), blended over about a pixel.
namespace TorchBridge.Training.Data;

/// <summary>The built-in data: generated pictures of shapes.</summary>
internal static class DrawnPictures
{
    /// <summary>Height and width in pixels.</summary>
    public const int Size = 32;

    public static readonly IReadOnlyList<string> ClassNames =
    [
        "arrow",
        "bars",
        "crescent",
        "cross",
        "disc",
        "frame",
        "ring",
        "square",
        "star",
        "triangle",
    ];

    private static readonly (double X, double Y)[] Triangle = Polygon((0, -0.95), (0.85, 0.6), (-0.85, 0.6));
    private static readonly (double X, double Y)[] Cross = Polygon(
        (-0.28, -0.95),
        (0.28, -0.95),
        (0.28, -0.28),
        (0.95, -0.28),
        (0.95, 0.28),
        (0.28, 0.28),
        (0.28, 0.95),
        (-0.28, 0.95),
        (-0.28, 0.28),
        (-0.95, 0.28),
        (-0.95, -0.28),
        (-0.28, -0.28)
    );
    private static readonly (double X, double Y)[] Arrow = Polygon(
        (0, -1),
        (0.75, -0.1),
        (0.28, -0.1),
        (0.28, 0.95),
        (-0.28, 0.95),
        (-0.28, -0.1),
        (-0.75, -0.1)
    );
    private static readonly (double X, double Y)[] Star =
    [
        .. Enumerable
            .Range(0, 10)
            .Select(i => (Radius: i % 2 == 0 ? 1.0 : 0.42, Angle: Math.PI * i / 5))
            .Select(p => (p.Radius * Math.Sin(p.Angle), -p.Radius * Math.Cos(p.Angle))),
    ];

    /// <summary>Draws the three parts; they never share a picture.</summary>
    /// <param name="seed">Seed of all pictures.</param>
    /// <param name="training">Number of training pictures.</param>
    /// <param name="validation">Number of validation pictures.</param>
    /// <param name="test">Number of test pictures.</param>
    /// <returns>Three parts; the classes alternate, so that all are equally frequent.</returns>
    public static PictureData Make(int seed, int training = 3000, int validation = 500, int test = 1000) =>
        new(
            "drawn pictures",
            ClassNames,
            MakeSet(seed, 0, training),
            MakeSet(seed, 1, validation),
            MakeSet(seed, 2, test)
        );

    /// <summary>Draws one part, on all cores; each picture has its own random stream.</summary>
    /// <param name="seed">Seed of the data.</param>
    /// <param name="part">Number of the part, so that each part has its own streams.</param>
    /// <param name="count">Number of pictures.</param>
    private static PictureSet MakeSet(int seed, int part, int count)
    {
        var set = new PictureSet(
            new byte[count * 3 * Size * Size],
            [.. Enumerable.Range(0, count).Select(i => i % ClassNames.Count)],
            Size,
            Size
        );
        Parallel.For(0, count, i =>
            DrawOne(set.Labels[i], new Draw(seed, part, i), set.Pixels.AsSpan(i * set.Stride, set.Stride))
        );
        return set;
    }

    /// <summary>Draws a picture.</summary>
    /// <param name="label">Number of the shape.</param>
    /// <param name="draw">The picture's random stream.</param>
    /// <param name="planes">Receives 3 x 32 x 32 bytes.</param>
    private static void DrawOne(int label, Draw draw, Span<byte> planes)
    {
        double radius = draw.Uniform(8, 13),
            angle = draw.Uniform(-0.5, 0.5);
        double centreX = draw.Uniform(radius, Size - radius),
            centreY = draw.Uniform(radius, Size - radius);
        Span<double> back = stackalloc double[3],
            slopeX = stackalloc double[3],
            slopeY = stackalloc double[3],
            fore = stackalloc double[3];
        Colours(ref draw, back, slopeX, slopeY, fore);
        Span<double> lines = stackalloc double[6];
        for (var index = 0; index < 2; index++)
            (lines[3 * index], lines[(3 * index) + 1], lines[(3 * index) + 2]) = (
                draw.Uniform(0, Math.PI),
                draw.Uniform(-12, 12),
                draw.Uniform(40, 215)
            );
        double noise = draw.Uniform(3, 10),
            cos = Math.Cos(angle),
            sin = Math.Sin(angle);
        for (var row = 0; row < Size; row++)
        {
            for (var column = 0; column < Size; column++)
            {
                double dx = (column + 0.5 - centreX) / radius,
                    dy = (row + 0.5 - centreY) / radius;
                var distance = Distance(label, (cos * dx) + (sin * dy), (cos * dy) - (sin * dx)) * radius;
                var cover = Math.Clamp(0.5 - distance, 0, 1);
                for (var channel = 0; channel < 3; channel++)
                {
                    var value = back[channel] + (slopeX[channel] * (column - 15.5)) + (slopeY[channel] * (row - 15.5));
                    for (var line = 0; line < 6; line += 3)
                    {
                        var away = Math.Abs(
                            (Math.Cos(lines[line]) * (column - 15.5))
                                + (Math.Sin(lines[line]) * (row - 15.5))
                                - lines[line + 1]
                        );
                        value += Math.Clamp(1.2 - away, 0, 1) * 0.5 * (lines[line + 2] - value);
                    }

                    value += (cover * (fore[channel] - value)) + (noise * draw.Normal());
                    planes[(channel * Size * Size) + (row * Size) + column] = (byte)
                        Math.Clamp(Math.Round(value), 0, 255);
                }
            }
        }
    }

    /// <summary>A background with a gradient, and a brighter foreground.</summary>
    private static void Colours(
        ref Draw draw,
        Span<double> back,
        Span<double> slopeX,
        Span<double> slopeY,
        Span<double> fore
    )
    {
        for (var channel = 0; channel < 3; channel++)
        {
            back[channel] = draw.Uniform(10, 130);
            fore[channel] = back[channel] + draw.Uniform(45, 120);
            (slopeX[channel], slopeY[channel]) = (draw.Uniform(-2, 2), draw.Uniform(-2, 2));
        }
    }

    /// <summary>Distance to the edge of a shape of radius 1 around the origin; negative inside.</summary>
    /// <param name="label">Number of the shape.</param>
    /// <param name="x">Position to the right, in radii.</param>
    /// <param name="y">Position downwards, in radii.</param>
    private static double Distance(int label, double x, double y)
    {
        var fromCentre = Math.Sqrt((x * x) + (y * y));
        var box = Math.Max(Math.Abs(x), Math.Abs(y)) - 0.78;
        return ClassNames[label] switch
        {
            "disc" => fromCentre - 0.9,
            "ring" => Math.Abs(fromCentre - 0.75) - 0.19,
            "square" => box,
            "frame" => Math.Abs(box + 0.15) - 0.19,
            "crescent" => Math.Max(fromCentre - 0.95, 0.75 - Math.Sqrt(((x - 0.45) * (x - 0.45)) + (y * y))),
            "bars" => Math.Max(Math.Abs(Math.Abs(y) - 0.55) - 0.27, Math.Abs(x) - 0.9),
            "triangle" => ToPolygon(Triangle, x, y),
            "cross" => ToPolygon(Cross, x, y),
            "arrow" => ToPolygon(Arrow, x, y),
            "star" => ToPolygon(Star, x, y),
            var other => throw new ArgumentOutOfRangeException(nameof(label), other, "unknown shape"),
        };
    }

    /// <summary>Distance to the edge of a polygon; negative inside.</summary>
    /// <param name="corners">The corners, in order.</param>
    /// <param name="x">Position to the right.</param>
    /// <param name="y">Position downwards.</param>
    private static double ToPolygon((double X, double Y)[] corners, double x, double y)
    {
        var nearest = double.MaxValue;
        var inside = false;
        for (int index = 0, j = corners.Length - 1; index < corners.Length; j = index++)
        {
            var (ax, ay) = corners[index];
            var (bx, by) = corners[j];
            double ex = bx - ax,
                ey = by - ay;
            var along = Math.Clamp((((x - ax) * ex) + ((y - ay) * ey)) / ((ex * ex) + (ey * ey)), 0, 1);
            double dx = x - ax - (along * ex),
                dy = y - ay - (along * ey);
            nearest = Math.Min(nearest, (dx * dx) + (dy * dy));
            if (ay > y != by > y && x < ax + ((bx - ax) * (y - ay) / (by - ay)))
                inside = !inside;
        }

        return inside ? -Math.Sqrt(nearest) : Math.Sqrt(nearest);
    }

    /// <summary>Creates an array of corners.</summary>
    /// <param name="corners">The corners, in order.</param>
    private static (double X, double Y)[] Polygon(params (double X, double Y)[] corners) => corners;
}
