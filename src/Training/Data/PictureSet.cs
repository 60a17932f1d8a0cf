namespace TorchBridge.Training.Data;

/// <summary>Pictures: count x 3 x height x width bytes, planes of red, green and blue, with a label each. Parts of a
/// data set share the store that their pixels are in.</summary>
internal sealed record PictureSet
{
    private readonly PixelStore store;

    /// <summary>Where each picture is in the store; null where they stand in its order.</summary>
    private readonly int[]? places;

    /// <summary>A set whose pixels are in memory.</summary>
    /// <param name="pixels">All pixels, one picture after another.</param>
    /// <param name="labels">Class number of each picture.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    public PictureSet(byte[] pixels, int[] labels, int height, int width)
        : this(new MemoryPixels(pixels, labels.Length, 3 * height * width), labels, height, width) { }

    /// <summary>A set of all pictures of a store.</summary>
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

    /// <summary>Where each picture came from; null where all of them were made or came in one file.</summary>
    public IReadOnlyList<PictureSource>? Sources { get; init; }

    /// <summary>Bytes of one picture.</summary>
    public int Stride => 3 * Height * Width;

    /// <summary>All pixels, one picture after another: the array that they are in, or a copy where they are somewhere
    /// else. For sets that are small.</summary>
    public byte[] Pixels => places is null && store.Array is { } array ? array : Planes(0, Count);

    /// <summary>The planes of one picture, for as long as the caller likes.</summary>
    public ReadOnlySpan<byte> Picture(int index)
    {
        byte[]? buffer = null;
        return Picture(index, ref buffer);
    }

    /// <summary>The planes of one picture, until the next one is read into the same buffer.</summary>
    /// <param name="index">Which picture.</param>
    /// <param name="buffer">The caller's, null at first: one for all pictures, where they are in a file.</param>
    public ReadOnlySpan<byte> Picture(int index, scoped ref byte[]? buffer) =>
        store.Read(places is null ? index : places[index], ref buffer);

    /// <summary>The planes of pictures that follow each other, in an array of their own.</summary>
    /// <param name="start">The first.</param>
    /// <param name="count">How many.</param>
    public byte[] Planes(int start, int count)
    {
        var planes = new byte[(long)count * Stride];
        byte[]? buffer = null;
        for (var i = 0; i < count; i++)
            Picture(start + i, ref buffer).CopyTo(planes.AsSpan(i * Stride));
        return planes;
    }

    /// <summary>Some of the pictures, in the order given. No pixel is copied.</summary>
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

    /// <summary>These pictures and then others of the same size.</summary>
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
    /// Some of the pictures, drawn without repetition: all, in drawn order, where there are no more.
    /// </summary>
    /// <param name="count">How many at most.</param>
    /// <param name="draw">Decides which.</param>
    public PictureSet Sample(int count, Draw draw) => Select([.. draw.Permutation(Count).Take(count)]);

    private IEnumerable<int> Places => places ?? Enumerable.Range(0, Count);
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

    /// <summary>A warning that names the pictures that stand in more than one part; null where none do.</summary>
    public string? Overlap { get; init; }
}
