// What it does: draws eight classes of stripes at 16 x 16 RGB: four directions, fine and coarse; phase, colours,
// contrast and noise vary. A single convolution sees a direction, so the lesson's small networks learn these in
// seconds, as they do not learn shapes. Tinted, each class has a colour of its own too, which layers without
// convolutions see.
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Lab;

/// <summary>Easy pictures for the lesson's small networks.</summary>
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

    /// <summary>As many pictures as a topic's other data has.</summary>
    /// <param name="context">The topic's.</param>
    /// <param name="isTinted">Whether each class has a colour.</param>
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

    private static PictureSet MakeSet(int seed, int part, int count, bool isTinted)
    {
        var set = new PictureSet(
            new byte[count * 3 * Size * Size],
            [.. Enumerable.Range(0, count).Select(i => i % ClassNames.Count)],
            Size,
            Size
        );
        for (var i = 0; i < count; i++)
            DrawOne(
                set.Labels[i],
                new Draw(seed, 61, part, i),
                set.Pixels.AsSpan(i * set.Stride, set.Stride),
                isTinted
            );
        return set;
    }

    private static void DrawOne(int label, Draw draw, Span<byte> planes, bool isTinted)
    {
        var angle = (label % Directions * Math.PI / Directions) + draw.Uniform(-0.2, 0.2);
        var length = (label < Directions ? 3.2 : 6.4) * draw.Uniform(0.85, 1.15);
        double phase = draw.Uniform(0, 2 * Math.PI),
            noise = draw.Uniform(10, 35),
            wave = 2 * Math.PI / length;
        for (var c = 0; c < 3; c++)
        {
            var middle = draw.Uniform(90, 165);
            if (isTinted)
                middle += 40 * Math.Cos((2 * Math.PI * label / ClassNames.Count) + (2 * Math.PI * c / 3));
            var contrast = draw.Uniform(15, 60);
            for (var y = 0; y < Size; y++)
            {
                for (var x = 0; x < Size; x++)
                {
                    var value =
                        middle
                        + (contrast * Math.Sin((wave * ((Math.Cos(angle) * x) + (Math.Sin(angle) * y))) + phase))
                        + (noise * draw.Normal());
                    planes[(c * Size * Size) + (y * Size) + x] = (byte)Math.Clamp(Math.Round(value), 0, 255);
                }
            }
        }
    }
}
