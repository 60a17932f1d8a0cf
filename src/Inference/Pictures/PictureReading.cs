namespace TorchBridge.Inference.Pictures;

/// <summary>How pictures of other sizes become the model's. A model says it in its metadata, so that training and
/// serving read alike.</summary>
/// <param name="Antialias"> Whether every source pixel counts when a picture is made smaller (a triangle filter as
/// wide as the step); else what stock ML.NET's ResizeImages does.
/// </param>
/// <param name="ApplyOrientation">Whether a photo is turned as its EXIF orientation says; else it stays as the
/// camera's sensor stored it, as in stock ML.NET.</param>
public sealed record PictureReading(bool Antialias = false, bool ApplyOrientation = false)
{
    /// <summary>As stock ML.NET reads: the default.</summary>
    public static PictureReading Stock { get; } = new();

    /// <summary>What stock ML.NET cannot do, in words; null where it reads the same bytes.</summary>
    public string? WithoutStockTwin =>
        (Antialias, ApplyOrientation) switch
        {
            (true, true) => "antialiased resizing and EXIF orientation",
            (true, false) => "antialiased resizing",
            (false, true) => "EXIF orientation",
            _ => null,
        };
}
