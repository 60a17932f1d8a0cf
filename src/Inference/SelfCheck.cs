using System.Globalization;
using System.Text.Json;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference;

/// <summary>Pictures with their expected logits, stored in a model's metadata.</summary>
/// <param name="Planes">count x 3 x height x width bytes: red, green and blue planes of each picture.</param>
/// <param name="Logits">count x classes logits: TorchSharp's in eval mode; for a quantized model, its own on the
/// machine that quantized it.</param>
/// <param name="RelativeTolerance">Allowed difference relative to the largest of these logits, since float sums are
/// computed in another order.</param>
public sealed record SelfCheck(byte[] Planes, float[] Logits, double RelativeTolerance)
{
    /// <summary>Metadata key.</summary>
    public const string Key = MetadataKeys.SelfCheck;

    /// <summary>Usual tolerance for float32: twenty times the difference observed between processors.</summary>
    public const double Float32Tolerance = 2e-5;

    /// <summary>Returns the metadata entry of the self-check.</summary>
    public KeyValuePair<string, string> ToMetadata() =>
        new(Key, JsonSerializer.Serialize(new Stored(Convert.ToBase64String(Planes), Logits, RelativeTolerance)));

    /// <summary>Number of pictures.</summary>
    internal int Count { get; private init; }

    /// <summary>Reads the self-check of a model; null if it contains none.</summary>
    /// <param name="metadata">Key-value pairs of the ONNX file.</param>
    /// <param name="card">The model card, which determines picture size and number of classes.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <exception cref="InvalidDataException">The self-check is damaged or does not match the model card.</exception>
    internal static SelfCheck? Read(IReadOnlyDictionary<string, string> metadata, ModelCard card, string name)
    {
        if (!metadata.TryGetValue(Key, out var json))
            return null;
        try
        {
            var stored = JsonSerializer.Deserialize<Stored>(json);
            if (stored is not { Planes.Length: > 0, Logits.Length: > 0 })
                throw new FormatException("it contains no pictures or no logits");
            if (!(stored.RelativeTolerance >= 0 && double.IsFinite(stored.RelativeTolerance)))
                throw new FormatException(
                    FormattableString.Invariant($"its tolerance is {stored.RelativeTolerance}; it must be at least 0")
                );
            var planes = Convert.FromBase64String(stored.Planes);
            var count = planes.Length / card.Stride;
            if (
                count == 0
                || planes.Length % card.Stride != 0
                || stored.Logits.Length != (long)count * card.ClassNames.Count
            )
                throw new FormatException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{planes.Length} bytes and {stored.Logits.Length} logits do not match pictures of 3 x "
                            + $"{card.Height} x {card.Width} and {card.ClassNames.Count} classes"
                    )
                );
            return new SelfCheck(planes, stored.Logits, stored.RelativeTolerance) { Count = count };
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw new InvalidDataException($"the self-check of {name} ({Key}) cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Compares this machine's logits with the expected ones.</summary>
    /// <param name="actual">count x classes logits computed on this machine.</param>
    /// <param name="classes">Number of classes.</param>
    /// <returns>The result; NaN never passes.</returns>
    internal SelfCheckResult Compare(float[] actual, int classes)
    {
        var tolerance = RelativeTolerance * ArrayComparison.LargestMagnitude<float>(Logits);
        var difference = ArrayComparison.Compare<float>(actual, Logits);
        var rows = ArrayComparison.Rows<float>(actual, Logits, classes, tolerance);
        // NaN never passes, not even if it is expected.
        return new SelfCheckResult(
            Count,
            rows.Agree,
            difference.IsFinite ? difference.LargestAbsolute : double.PositiveInfinity,
            tolerance
        );
    }

    /// <summary>The JSON form.</summary>
    private sealed record Stored(string? Planes, float[]? Logits, double RelativeTolerance);
}
