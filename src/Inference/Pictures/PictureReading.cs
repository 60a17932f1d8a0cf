namespace TorchBridge.Inference.Pictures;

/// <summary>How pictures are resized and oriented for the model. It is stored in the model's metadata, so that
/// training and serving read pictures alike.</summary>
/// <param name="Antialias"> Whether downsampling is antialiased (a triangle filter as wide as the step); otherwise
/// pictures are resized like stock ML.NET's ResizeImages.
/// </param>
/// <param name="ApplyOrientation">Whether the EXIF orientation is applied; otherwise a photo stays as the camera's
/// sensor stored it, as in stock ML.NET.</param>
public sealed record PictureReading(bool Antialias = false, bool ApplyOrientation = false)
{
    /// <summary>Reading like stock ML.NET, the default.</summary>
    public static PictureReading Stock { get; } = new();

    /// <summary>Description of the features that stock ML.NET lacks; null if it reads the same pixels.</summary>
    public string? WithoutStockTwin =>
        (Antialias, ApplyOrientation) switch
        {
            (true, true) => "antialiased resizing and EXIF orientation",
            (true, false) => "antialiased resizing",
            (false, true) => "EXIF orientation",
            _ => null,
        };
}
