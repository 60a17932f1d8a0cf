using System.Globalization;
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
    /// <summary>Pixels of a side that a network may take: one picture is then 800 MB of floats, and no product of
    /// sizes overflows.</summary>
    private const int LargestSide = 8192;

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

    /// <summary>Numbers of one picture as the network takes it: 3 x height x width.</summary>
    internal int Stride => 3 * Width * Height;

    /// <summary>Reads the metadata of a file's bytes.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="path">What to call the file in an error.</param>
    /// <exception cref="InvalidDataException">It is no ONNX file, or not one of our classifiers.</exception>
    internal static ModelCard Read(byte[] onnx, string path) => Read(ModelMetadata.Read(onnx, path), path);

    /// <summary>Reads the metadata of a file.</summary>
    /// <param name="metadata">Key-value pairs of the ONNX file.</param>
    /// <param name="path">What to call the file in an error.</param>
    /// <returns>Class names, picture size, and how pictures are read.</returns>
    /// <exception cref="InvalidDataException">The file is not one of our classifiers, or its metadata are
    /// damaged.</exception>
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

    /// <summary>The class names: a JSON array of at least one text.</summary>
    /// <param name="metadata">The file's.</param>
    /// <param name="path">For an error.</param>
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
    /// <param name="metadata">The file's.</param>
    /// <param name="key"><see cref="WidthKey"/> or <see cref="HeightKey"/>.</param>
    /// <param name="path">For an error.</param>
    private static int Side(IReadOnlyDictionary<string, string> metadata, string key, string path)
    {
        var text = Value(metadata, key, path);
        return
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var side)
            && side is >= 1 and <= LargestSide
            ? side
            : throw Refuse(path, key, text, FormattableString.Invariant($"a number of pixels from 1 to {LargestSide}"));
    }

    /// <summary>A flag, which may be left out: false then.</summary>
    /// <param name="metadata">The file's.</param>
    /// <param name="key">Of something that is off where the key is missing.</param>
    /// <param name="path">For an error.</param>
    private static bool Flag(IReadOnlyDictionary<string, string> metadata, string key, string path)
    {
        if (!metadata.TryGetValue(key, out var text))
            return false;
        return bool.TryParse(text, out var flag) ? flag : throw Refuse(path, key, text, "true or false");
    }

    /// <summary>A value that must be there.</summary>
    /// <param name="metadata">The file's.</param>
    /// <param name="key">One that must be there.</param>
    /// <param name="path">For an error.</param>
    private static string Value(IReadOnlyDictionary<string, string> metadata, string key, string path) =>
        metadata.TryGetValue(key, out var text)
            ? text
            : throw new InvalidDataException(
                $"{path} is not a picture classifier of TorchBridge: its metadata has no {key}"
            );

    /// <summary>A refusal that names file, key, value and what is allowed.</summary>
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
