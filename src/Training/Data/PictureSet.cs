namespace TorchBridge.Training.Data;

/// <summary>Pictures: count x 3 x height x width bytes, planes of red, green and blue, with one label per picture.
/// The parts of a data set share the store that holds their pixels.</summary>
internal sealed record PictureSet
{
    private readonly PixelStore store;

    /// <summary>Index of each picture in the store; null if they are in its order.</summary>
    private readonly int[]? places;

    /// <summary>Creates a set whose pixels are in memory.</summary>
    /// <param name="pixels">All pixels, one picture after another.</param>
    /// <param name="labels">Class number of each picture.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    public PictureSet(byte[] pixels, int[] labels, int height, int width)
        : this(new MemoryPixels(pixels, labels.Length, 3 * height * width), labels, height, width) { }

    /// <summary>Creates a set of all pictures in a store.</summary>
    public PictureSet(PixelStore store, int[] labels, int height, int width)
        : this(store, null, labels, height, width) { }

    private PictureSet(PixelStore store, int[]? places, int[] labels, int height, int width)
    {
        this.store = store;
        this.places = places;
        (Labels, Height, Width) = (labels, height, width);
    }

    /// <summary>Class number of each picture.</summary>
    public int[] Labels { get; init; }

    /// <summary>Height in pixels.</summary>
    public int Height { get; }

    /// <summary>Width in pixels.</summary>
    public int Width { get; }

    public int Count => Labels.Length;

    /// <summary>The file of each picture; null if all of them were generated or came in one file.</summary>
    public IReadOnlyList<PictureSource>? Sources { get; init; }

    /// <summary>Bytes of one picture.</summary>
    public int Stride => 3 * Height * Width;

    /// <summary>All pixels, one picture after another: the original array, or a copy if they are not in one. For
    /// small sets only.</summary>
    public byte[] Pixels => places is null && store.Array is { } array ? array : Planes(0, Count);

    /// <summary>The planes of one picture; the span stays valid.</summary>
    public ReadOnlySpan<byte> Picture(int index)
    {
        byte[]? buffer = null;
        return Picture(index, ref buffer);
    }

    /// <summary>The planes of one picture, valid until the next one is read into the same buffer.</summary>
    /// <param name="index">Index of the picture.</param>
    /// <param name="buffer">A buffer to reuse for all pictures if they are in a file; initially null.</param>
    public ReadOnlySpan<byte> Picture(int index, scoped ref byte[]? buffer) =>
        store.Read(places is null ? index : places[index], ref buffer);

    /// <summary>The planes of consecutive pictures, in a new array.</summary>
    /// <param name="start">Index of the first picture.</param>
    /// <param name="count">Number of pictures.</param>
    public byte[] Planes(int start, int count)
    {
        var planes = new byte[(long)count * Stride];
        byte[]? buffer = null;
        for (var i = 0; i < count; i++)
            Picture(start + i, ref buffer).CopyTo(planes.AsSpan(i * Stride));
        return planes;
    }

    /// <summary>Selects pictures in the given order, without copying pixels.</summary>
    public PictureSet Select(IReadOnlyList<int> indices) =>
        new(
            store,
            [.. indices.Select(index => places is null ? index : places[index])],
            [.. indices.Select(index => Labels[index])],
            Height,
            Width
        )
        {
            Sources = Sources is null ? null : [.. indices.Select(index => Sources[index])],
        };

    /// <summary>These pictures followed by others of the same size.</summary>
    public PictureSet With(PictureSet other)
    {
        int[] labels = [.. Labels, .. other.Labels];
        IReadOnlyList<PictureSource>? sources =
            Sources is null || other.Sources is null ? null : [.. Sources, .. other.Sources];
        return ReferenceEquals(store, other.store)
            ? new PictureSet(store, [.. Places, .. other.Places], labels, Height, Width) { Sources = sources }
            : new PictureSet([.. Pixels, .. other.Pixels], labels, Height, Width) { Sources = sources };
    }

    /// <summary>
    /// A random sample without repetition; all pictures, in random order, if there are no more.
    /// </summary>
    /// <param name="count">Largest number of pictures.</param>
    /// <param name="draw">Source of randomness.</param>
    public PictureSet Sample(int count, Draw draw) => Select([.. draw.Permutation(Count).Take(count)]);

    private IEnumerable<int> Places => places ?? Enumerable.Range(0, Count);
}

/// <summary>A data set for training. Decisions are based on <see cref="Validation"/>; <see cref="Test"/> is used only
/// once, at the end.</summary>
/// <param name="Name">Description for the card: <c>drawn pictures</c>, <c>CIFAR-10</c>, a path.</param>
/// <param name="ClassNames">One name per class.</param>
/// <param name="Training">The part that the weights are trained on.</param>
/// <param name="Validation">The part that decisions are based on.</param>
/// <param name="Test">The part that is reported.</param>
internal sealed record PictureData(
    string Name,
    IReadOnlyList<string> ClassNames,
    PictureSet Training,
    PictureSet Validation,
    PictureSet Test
)
{
    /// <summary>A note for the user about how the data was read, or null.</summary>
    public string? Note { get; init; }

    /// <summary>A warning that names pictures which occur in more than one part; null if there are none.</summary>
    public string? Overlap { get; init; }
}
