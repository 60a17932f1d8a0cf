using System.Globalization;
using System.Text.Json;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference;

/// <summary>Pictures with the logits that they must give, as a model carries them in its metadata.</summary>
/// <param name="Planes">count x 3 x height x width bytes: red, green and blue planes of each picture.</param>
/// <param name="Logits">count x classes: TorchSharp's in eval mode; of a quantized model, its own on the machine that
/// made it.</param>
/// <param name="RelativeTolerance">Share of the largest of these logits by which they may differ: float sums in
/// another order.</param>
public sealed record SelfCheck(byte[] Planes, float[] Logits, double RelativeTolerance)
{
    /// <summary>Metadata key.</summary>
    public const string Key = MetadataKeys.SelfCheck;

    /// <summary>Usual tolerance of float32: twenty times what is seen between processors.</summary>
    public const double Float32Tolerance = 2e-5;

    /// <summary>The metadata that carries it.</summary>
    public KeyValuePair<string, string> ToMetadata() =>
        new(Key, JsonSerializer.Serialize(new Stored(Convert.ToBase64String(Planes), Logits, RelativeTolerance)));

    /// <summary>Number of pictures.</summary>
    internal int Count { get; private init; }

    /// <summary>Reads the self-check of a model; null where it carries none.</summary>
    /// <param name="metadata">Key-value pairs of the ONNX file.</param>
    /// <param name="card">Says how large pictures are, and how many classes there are.</param>
    /// <param name="name">What to call the model in an error.</param>
    /// <exception cref="InvalidDataException">It is damaged, or does not fit to the model's card.</exception>
    internal static SelfCheck? Read(IReadOnlyDictionary<string, string> metadata, ModelCard card, string name)
    {
        if (!metadata.TryGetValue(Key, out var json))
            return null;
        try
        {
            var stored = JsonSerializer.Deserialize<Stored>(json);
            if (stored is not { Planes.Length: > 0, Logits.Length: > 0 })
                throw new FormatException("it holds no pictures, or no logits");
            if (!(stored.RelativeTolerance >= 0 && double.IsFinite(stored.RelativeTolerance)))
                throw new FormatException(
                    FormattableString.Invariant($"its tolerance is {stored.RelativeTolerance}; allowed is 0 and up")
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
                        $"{planes.Length} bytes and {stored.Logits.Length} logits do not fit pictures of "
                            + $"3 x {card.Height} x {card.Width} and {card.ClassNames.Count} classes"
                    )
                );
            return new SelfCheck(planes, stored.Logits, stored.RelativeTolerance) { Count = count };
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw new InvalidDataException($"the self-check of {name} ({Key}) cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Compares this machine's logits with those that the model carries.</summary>
    /// <param name="actual">count x classes logits, as this machine computes them.</param>
    /// <param name="classes">Number of classes.</param>
    /// <returns>The result; NaN never passes.</returns>
    internal SelfCheckResult Compare(float[] actual, int classes)
    {
        var tolerance = RelativeTolerance * ArrayComparison.LargestMagnitude<float>(Logits);
        var difference = ArrayComparison.Compare<float>(actual, Logits);
        var rows = ArrayComparison.Rows<float>(actual, Logits, classes, tolerance);
        // NaN never passes, not even where it was expected.
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
