namespace TorchBridge.Training.Data;

/// <summary>Pictures in memory: count x 3 x height x width bytes, planes of red, green and blue, with a label
/// each.</summary>
/// <param name="Pixels">All pixels, one picture after another.</param>
/// <param name="Labels">Class number of each picture.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Width">Width in pixels.</param>
internal sealed record PictureSet(byte[] Pixels, int[] Labels, int Height, int Width)
{
    /// <summary>How many pictures there are.</summary>
    public int Count => Labels.Length;

    /// <summary>Where each picture came from; null where all of them were made or came in one file.</summary>
    public IReadOnlyList<PictureSource>? Sources { get; init; }

    /// <summary>Bytes of one picture.</summary>
    public int Stride => 3 * Height * Width;

    /// <summary>The planes of one picture.</summary>
    /// <param name="index">From 0.</param>
    /// <returns>3 x height x width bytes of this set's own memory.</returns>
    public ReadOnlySpan<byte> Picture(int index) => Pixels.AsSpan(index * Stride, Stride);

    /// <summary>Some of the pictures, in the order given.</summary>
    /// <param name="indices">Which, in the order of the new set; one may come twice.</param>
    /// <returns>Copies of the pixels.</returns>
    public PictureSet Select(IReadOnlyList<int> indices)
    {
        var pixels = new byte[(long)indices.Count * Stride];
        for (var position = 0; position < indices.Count; position++)
            Picture(indices[position]).CopyTo(pixels.AsSpan(position * Stride));
        return new PictureSet(pixels, [.. indices.Select(index => Labels[index])], Height, Width)
        {
            Sources = Sources is null ? null : [.. indices.Select(index => Sources[index])],
        };
    }

    /// <summary>These pictures and then others of the same size.</summary>
    /// <param name="other">Pictures of the same height and width.</param>
    public PictureSet With(PictureSet other) =>
        new([.. Pixels, .. other.Pixels], [.. Labels, .. other.Labels], Height, Width)
        {
            Sources = Sources is null || other.Sources is null ? null : [.. Sources, .. other.Sources],
        };

    /// <summary>
    /// Some of the pictures, drawn without repetition: all, in drawn order, where there are no more.
    /// </summary>
    /// <param name="count">How many at most.</param>
    /// <param name="draw">Decides which.</param>
    public PictureSet Sample(int count, Draw draw) => Select([.. draw.Permutation(Count).Take(count)]);
}

/// <summary>A data set as training takes it. Choices look at <see cref="Validation"/>; <see cref="Test"/> is read
/// once, at the end.</summary>
/// <param name="Name">What it is, for the card: <c>drawn pictures</c>, <c>CIFAR-10</c>, a path.</param>
/// <param name="ClassNames">One a class.</param>
/// <param name="Training">What the weights are learned from.</param>
/// <param name="Validation">What choices are made by.</param>
/// <param name="Test">What is reported.</param>
internal sealed record PictureData(
    string Name,
    IReadOnlyList<string> ClassNames,
    PictureSet Training,
    PictureSet Validation,
    PictureSet Test
)
{
    /// <summary>What people should know of how it was read, or null.</summary>
    public string? Note { get; init; }
}
