using System.Text.Json;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;

namespace TorchBridge.Inference;

/// <summary>What a classifier's ONNX file says of itself in its metadata: enough to serve it.</summary>
/// <param name="ClassNames">One a class, in the order of the logits.</param>
/// <param name="Width">Picture width in pixels.</param>
/// <param name="Height">Picture height in pixels.</param>
public sealed record ModelCard(IReadOnlyList<string> ClassNames, int Width, int Height)
{
    /// <summary>How pictures are read.</summary>
    public PictureReading Reading { get; init; } = PictureReading.Stock;

    /// <summary>Metadata key of antialiased resizing; <c>true</c> where it is on.</summary>
    public const string AntialiasKey = MetadataKeys.Antialias;

    /// <summary>Metadata key of EXIF orientation; <c>true</c> where it is applied.</summary>
    public const string OrientationKey = MetadataKeys.ApplyOrientation;

    /// <summary>Metadata key of the class names, a JSON array.</summary>
    public const string ClassNamesKey = MetadataKeys.ClassNames;

    /// <summary>Metadata key of the picture width.</summary>
    public const string WidthKey = MetadataKeys.Width;

    /// <summary>Metadata key of the picture height.</summary>
    public const string HeightKey = MetadataKeys.Height;

    /// <summary>Reads the metadata of a file's bytes.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="path">What to call the file in an error.</param>
    /// <exception cref="InvalidDataException">It is no ONNX file, or not one of our classifiers.</exception>
    internal static ModelCard Read(byte[] onnx, string path) => Read(OnnxReader.Metadata(onnx, path), path);

    /// <summary>Reads the metadata of a file.</summary>
    /// <param name="metadata">Key-value pairs of the ONNX file.</param>
    /// <param name="path">What to call the file in an error.</param>
    /// <exception cref="InvalidDataException">The file is not one of our classifiers.</exception>
    public static ModelCard Read(IReadOnlyDictionary<string, string> metadata, string path)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        try
        {
            var names = JsonSerializer.Deserialize<string[]>(metadata[ClassNamesKey])!;
            return new ModelCard(names, int.Parse(metadata[WidthKey], System.Globalization.CultureInfo.InvariantCulture), int.Parse(metadata[HeightKey], System.Globalization.CultureInfo.InvariantCulture))
            {
                Reading = new PictureReading(metadata.TryGetValue(AntialiasKey, out var antialias) && bool.Parse(antialias), metadata.TryGetValue(OrientationKey, out var orientation) && bool.Parse(orientation)),
            };
        }
        catch (Exception error) when (error is KeyNotFoundException or JsonException or FormatException)
        {
            throw new InvalidDataException($"{path} is not a picture classifier of TorchBridge: its metadata has no valid {ClassNamesKey}, {WidthKey} and {HeightKey}", error);
        }
    }

    /// <summary>The metadata that <see cref="Read(IReadOnlyDictionary{string, string}, string)"/> reads.</summary>
    public IEnumerable<KeyValuePair<string, string>> ToMetadata() =>
    [
        new(ClassNamesKey, JsonSerializer.Serialize(ClassNames)),
        new(WidthKey, Width.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        new(HeightKey, Height.ToString(System.Globalization.CultureInfo.InvariantCulture)),
        .. Reading.Antialias ? [new KeyValuePair<string, string>(AntialiasKey, "true")] : Array.Empty<KeyValuePair<string, string>>(),
        .. Reading.ApplyOrientation ? [new KeyValuePair<string, string>(OrientationKey, "true")] : Array.Empty<KeyValuePair<string, string>>(),
    ];
}
