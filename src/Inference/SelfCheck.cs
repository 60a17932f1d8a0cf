using System.Text.Json;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;

namespace TorchBridge.Inference;

/// <summary>What a self-check found.</summary>
/// <param name="Pictures">Pictures compared.</param>
/// <param name="Agree">Pictures with the same most probable class; ties within the tolerance agree.</param>
/// <param name="LargestDifference">Largest difference of a logit.</param>
/// <param name="Tolerance">What it was allowed to be.</param>
public sealed record SelfCheckResult(int Pictures, int Agree, double LargestDifference, double Tolerance)
{
    /// <summary>Whether this machine computes what the trained network computed. NaN never passes.</summary>
    public bool Passed => Agree == Pictures && LargestDifference <= Tolerance;
}

/// <summary>Pictures with the logits that the trained network gave for them, as a model carries them in its metadata.</summary>
/// <param name="Planes">count x 3 x height x width bytes.</param>
/// <param name="Logits">count x classes, from TorchSharp in eval mode.</param>
/// <param name="RelativeTolerance">Share of the largest logit by which they may differ: float32 sums in another order, or what a quantized model's card states.</param>
public sealed record SelfCheck(byte[] Planes, float[] Logits, double RelativeTolerance)
{
    /// <summary>Metadata key.</summary>
    public const string Key = MetadataKeys.SelfCheck;

    /// <summary>Usual tolerance of float32: twenty times what is seen between processors.</summary>
    public const double Float32Tolerance = 2e-5;

    /// <summary>The metadata that carries it.</summary>
    public KeyValuePair<string, string> ToMetadata() => new(Key, JsonSerializer.Serialize(new Stored(Convert.ToBase64String(Planes), Logits, RelativeTolerance)));

    internal int Count { get; private init; }

    internal static SelfCheck? Read(IReadOnlyDictionary<string, string> metadata)
    {
        if (!metadata.TryGetValue(Key, out var json)) return null;
        try
        {
            var stored = JsonSerializer.Deserialize<Stored>(json)!;
            var card = ModelCard.Read(metadata, "the model");
            var planes = Convert.FromBase64String(stored.Planes);
            var count = planes.Length / (3 * card.Width * card.Height);
            if (count == 0 || stored.Logits.Length != count * card.ClassNames.Count) throw new FormatException($"{planes.Length} bytes and {stored.Logits.Length} logits do not fit");
            return new SelfCheck(planes, stored.Logits, stored.RelativeTolerance) { Count = count };
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw new InvalidDataException($"the model's self-check ({Key}) cannot be read: {error.Message}", error);
        }
    }

    internal SelfCheckResult Compare(float[] actual, int classes)
    {
        var tolerance = RelativeTolerance * ArrayComparison.LargestMagnitude<float>(Logits);
        var difference = ArrayComparison.Compare<float>(actual, Logits);
        var rows = ArrayComparison.Rows<float>(actual, Logits, classes, tolerance);
        // NaN never passes, not even where it was expected.
        return new SelfCheckResult(Count, rows.Agree, difference.IsFinite ? difference.LargestAbsolute : double.PositiveInfinity, tolerance);
    }

    private sealed record Stored(string Planes, float[] Logits, double RelativeTolerance);
}
