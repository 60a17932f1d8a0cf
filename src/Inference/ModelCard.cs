using System.Globalization;
using System.Text.Json;
using TorchBridge.Inference.Pictures;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Format;

namespace TorchBridge.Inference;

/// <summary>The metadata of a classifier's ONNX file that are needed to serve it.</summary>
/// <param name="ClassNames">One name per class, in the order of the logits.</param>
/// <param name="Width">Picture width in pixels.</param>
/// <param name="Height">Picture height in pixels.</param>
public sealed record ModelCard(IReadOnlyList<string> ClassNames, int Width, int Height)
{
    /// <summary>Largest supported side in pixels: one picture is then 800 MB of floats, and no product of sizes
    /// overflows.</summary>
    private const int LargestSide = 8192;

    /// <summary>How pictures are decoded and resized.</summary>
    public PictureReading Reading { get; init; } = PictureReading.Stock;

    /// <summary>Metadata key of antialiased resizing; <c>true</c> if enabled.</summary>
    public const string AntialiasKey = MetadataKeys.Antialias;

    /// <summary>Metadata key of EXIF orientation; <c>true</c> if it is applied.</summary>
    public const string OrientationKey = MetadataKeys.ApplyOrientation;

    /// <summary>Metadata key of the class names, a JSON array.</summary>
    public const string ClassNamesKey = MetadataKeys.ClassNames;

    /// <summary>Metadata key of the picture width.</summary>
    public const string WidthKey = MetadataKeys.Width;

    /// <summary>Metadata key of the picture height.</summary>
    public const string HeightKey = MetadataKeys.Height;

    /// <summary>Number of values of one picture in the network's input: 3 x height x width.</summary>
    internal int Stride => 3 * Width * Height;

    /// <summary>Reads the metadata of a file's bytes.</summary>
    /// <param name="onnx">The bytes of the file.</param>
    /// <param name="path">Name of the file in error messages.</param>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX file or not a TorchBridge
    /// classifier.</exception>
    internal static ModelCard Read(byte[] onnx, string path) => Read(ModelMetadata.Read(onnx, path), path);

    /// <summary>Reads the metadata of a file.</summary>
    /// <param name="metadata">Key-value pairs of the ONNX file.</param>
    /// <param name="path">Name of the file in error messages.</param>
    /// <returns>Class names, picture size, and how pictures are decoded and resized.</returns>
    /// <exception cref="InvalidDataException">The file is not a TorchBridge classifier, or its metadata are
    /// invalid.</exception>
    public static ModelCard Read(IReadOnlyDictionary<string, string> metadata, string path)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        return new ModelCard(Names(metadata, path), Side(metadata, WidthKey, path), Side(metadata, HeightKey, path))
        {
            Reading = new PictureReading(Flag(metadata, AntialiasKey, path), Flag(metadata, OrientationKey, path)),
        };
    }

    /// <summary>The metadata that <see cref="Read(IReadOnlyDictionary{string, string}, string)"/> reads.</summary>
    /// <returns>Key-value pairs for <c>ExportOptions.Metadata</c>; flags that are off are left out.</returns>
    public IEnumerable<KeyValuePair<string, string>> ToMetadata() =>
        [
            new(ClassNamesKey, JsonSerializer.Serialize(ClassNames)),
            new(WidthKey, Width.ToString(CultureInfo.InvariantCulture)),
            new(HeightKey, Height.ToString(CultureInfo.InvariantCulture)),
            .. Reading.Antialias
                ? [new KeyValuePair<string, string>(AntialiasKey, "true")]
                : Array.Empty<KeyValuePair<string, string>>(),
            .. Reading.ApplyOrientation
                ? [new KeyValuePair<string, string>(OrientationKey, "true")]
                : Array.Empty<KeyValuePair<string, string>>(),
        ];

    /// <summary>The class names: a JSON array of at least one string.</summary>
    /// <param name="metadata">Metadata of the file.</param>
    /// <param name="path">Name of the file in error messages.</param>
    private static string[] Names(IReadOnlyDictionary<string, string> metadata, string path)
    {
        var text = Value(metadata, ClassNamesKey, path);
        string[]? names;
        try
        {
            names = JsonSerializer.Deserialize<string[]>(text);
        }
        catch (JsonException error)
        {
            throw Refuse(path, ClassNamesKey, text, "a JSON array of names", error);
        }

        return names is { Length: > 0 } && names.All(name => name is not null)
            ? names
            : throw Refuse(path, ClassNamesKey, text, "a JSON array of at least one name");
    }

    /// <summary>Width or height: 1 to 8,192 pixels.</summary>
    /// <param name="metadata">Metadata of the file.</param>
    /// <param name="key"><see cref="WidthKey"/> or <see cref="HeightKey"/>.</param>
    /// <param name="path">Name of the file in error messages.</param>
    private static int Side(IReadOnlyDictionary<string, string> metadata, string key, string path)
    {
        var text = Value(metadata, key, path);
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var side)
            && side is >= 1 and <= LargestSide
            ? side
            : throw Refuse(path, key, text, FormattableString.Invariant($"a number of pixels from 1 to {LargestSide}"));
    }

    /// <summary>A flag; false if the key is missing.</summary>
    /// <param name="metadata">Metadata of the file.</param>
    /// <param name="key">Key of the flag.</param>
    /// <param name="path">Name of the file in error messages.</param>
    private static bool Flag(IReadOnlyDictionary<string, string> metadata, string key, string path)
    {
        if (!metadata.TryGetValue(key, out var text))
            return false;
        return bool.TryParse(text, out var flag) ? flag : throw Refuse(path, key, text, "true or false");
    }

    /// <summary>A required value.</summary>
    /// <param name="metadata">Metadata of the file.</param>
    /// <param name="key">A required key.</param>
    /// <param name="path">Name of the file in error messages.</param>
    private static string Value(IReadOnlyDictionary<string, string> metadata, string key, string path) =>
        metadata.TryGetValue(key, out var text)
            ? text
            : throw new InvalidDataException(
                $"{path} is not a picture classifier of TorchBridge: its metadata has no {key}"
            );

    /// <summary>An exception that names the file, the key, the value and the allowed values.</summary>
    private static InvalidDataException Refuse(
        string path,
        string key,
        string value,
        string allowed,
        Exception? cause = null
    ) =>
        new(
            $"{path} is not a picture classifier of TorchBridge: its metadata has no valid {key}: "
                + $"'{(value.Length <= 60 ? value : value[..60] + "…")}' is not {allowed}",
            cause
        );
}
