// What it does: draws eight classes of stripes at 16 x 16 RGB: four directions, fine and coarse; phase, colours,
// contrast and noise vary. A single convolution can detect a direction, so the lesson's small networks learn these
// classes in seconds, unlike shapes. Tinted, each class also has its own colour, which layers without convolutions
// can tell apart.
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Lab;

/// <summary>Draws easy pictures for the lesson's small networks.</summary>
internal static class LabTextures
{
    private const int Size = 16,
        Directions = 4;

    public static readonly IReadOnlyList<string> ClassNames =
    [
        "fine columns",
        "fine rising",
        "fine rows",
        "fine falling",
        "coarse columns",
        "coarse rising",
        "coarse rows",
        "coarse falling",
    ];

    /// <summary>Draws as many pictures as the topic's data set has.</summary>
    /// <param name="context">The topic's context.</param>
    /// <param name="isTinted">Whether each class has its own colour.</param>
    public static LabData For(LabContext context, bool isTinted = false) =>
        LabData.Of(
            new PictureData(
                "drawn stripes",
                ClassNames,
                MakeSet(context.Seed, 0, context.Data.Pictures.Training.Count, isTinted),
                MakeSet(context.Seed, 1, context.Data.Pictures.Validation.Count, isTinted),
                MakeSet(context.Seed, 2, ClassNames.Count, isTinted)
            ),
            context.Seed
        );

    /// <summary>Draws one part, with the classes in rotation.</summary>
    /// <param name="seed">The topic's seed.</param>
    /// <param name="part">Number of the part, which gives it a separate random stream.</param>
    /// <param name="count">Number of pictures.</param>
    /// <param name="isTinted">Whether each class has its own colour.</param>
    private static PictureSet MakeSet(int seed, int part, int count, bool isTinted)
    {
        var set = new PictureSet(
            new byte[count * 3 * Size * Size],
            [.. Enumerable.Range(0, count).Select(i => i % ClassNames.Count)],
            Size,
            Size
        );
        for (var index = 0; index < count; index++)
            DrawOne(
                set.Labels[index],
                new Draw(seed, 61, part, index),
                set.Pixels.AsSpan(index * set.Stride, set.Stride),
                isTinted
            );
        return set;
    }

    /// <summary>Draws stripes.</summary>
    /// <param name="label">Direction, and fine or coarse.</param>
    /// <param name="draw">The picture's own random stream.</param>
    /// <param name="planes">Receives 3 x 16 x 16 bytes.</param>
    /// <param name="isTinted">Whether each class has its own colour.</param>
    private static void DrawOne(int label, Draw draw, Span<byte> planes, bool isTinted)
    {
        var angle = (label % Directions * Math.PI / Directions) + draw.Uniform(-0.2, 0.2);
        var length = (label < Directions ? 3.2 : 6.4) * draw.Uniform(0.85, 1.15);
        double phase = draw.Uniform(0, 2 * Math.PI),
            noise = draw.Uniform(10, 35),
            wave = 2 * Math.PI / length;
        for (var channel = 0; channel < 3; channel++)
        {
            var middle = draw.Uniform(90, 165);
            if (isTinted)
                middle += 40 * Math.Cos((2 * Math.PI * label / ClassNames.Count) + (2 * Math.PI * channel / 3));
            var contrast = draw.Uniform(15, 60);
            for (var row = 0; row < Size; row++)
            {
                for (var column = 0; column < Size; column++)
                {
                    var value =
                        middle
                        + (contrast * Math.Sin((wave * ((Math.Cos(angle) * column) + (Math.Sin(angle) * row))) + phase))
                        + (noise * draw.Normal());
                    planes[(channel * Size * Size) + (row * Size) + column] = (byte)
                        Math.Clamp(Math.Round(value), 0, 255);
                }
            }
        }
    }
}
