using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using TorchBridge.Inference;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>The pictures that a classifier of ours carries, with the logits that the trained network gave for
/// them.</summary>
/// <param name="Planes">count x 3 x height x width bytes.</param>
/// <param name="Logits">count x classes.</param>
/// <param name="RelativeTolerance">Share of the largest logit by which a run may differ.</param>
internal sealed record SelfCheckPictures(byte[] Planes, float[] Logits, double RelativeTolerance)
{
    /// <summary>A key that comes twice is an error, not a choice.</summary>
    private static readonly JsonSerializerOptions Options = new() { AllowDuplicateProperties = false };

    /// <summary>How many.</summary>
    public int Count { get; private init; }

    /// <summary>Reads them from a file's metadata; null where it has none.</summary>
    /// <param name="source">The file as it was read.</param>
    /// <exception cref="ModelLoadException">They do not fit the model.</exception>
    public static SelfCheckPictures? Read(ModelSource source)
    {
        if (source.Card is not { } card || !source.Scan.Metadata.TryGetValue(SelfCheck.Key, out var json))
            return null;
        try
        {
            var pictures = JsonSerializer.Deserialize<SelfCheckPictures>(json, Options);
            if (pictures is not { Planes: not null, Logits: not null })
                throw new FormatException("it has no pictures or no logits");
            var size = 3 * card.Width * card.Height;
            var count = pictures.Planes.Length / size;
            if (
                count == 0
                || pictures.Planes.Length % size != 0
                || pictures.Logits.Length != count * card.ClassNames.Count
            )
                throw new FormatException(
                    $"{pictures.Planes.Length} bytes and {pictures.Logits.Length} logits do not fit"
                );
            return pictures with { Count = count };
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw new ModelLoadException(
                $"{source.Path}: its self-check ({SelfCheck.Key}) cannot be read: {error.Message}",
                error
            );
        }
    }

    /// <summary>One picture as the model takes it: [1, 3, height, width], 0 to 255.</summary>
    /// <param name="index">Number of the picture, from 0.</param>
    /// <param name="input">Name of the model's input.</param>
    /// <param name="card">Says how large pictures are.</param>
    public Tensor Pixels(int index, string input, ModelCard card) => ToPixels(Plane(index, card), input, card);

    /// <summary>Planes of one picture.</summary>
    /// <param name="index">Number of the picture, from 0.</param>
    /// <param name="card">Says how large pictures are.</param>
    /// <returns>3 x height x width bytes.</returns>
    public ReadOnlySpan<byte> Plane(int index, ModelCard card) =>
        Planes.AsSpan(index * 3 * card.Width * card.Height, 3 * card.Width * card.Height);

    /// <summary>
    /// Compares what a run gave with what the trained network gave; null where they agree. NaN never does.
    /// </summary>
    /// <param name="logits">As many as the model carries.</param>
    public string? Compare(ReadOnlySpan<float> logits)
    {
        var tolerance = RelativeTolerance * Logits.Max(Math.Abs);
        for (var index = 0; index < Logits.Length; index++)
        {
            if (Math.Abs((double)logits[index] - Logits[index]) <= tolerance)
                continue;
            return string.Create(
                CultureInfo.InvariantCulture,
                $"logit {index} of the self-check is {logits[index]:G9}, in training it was {Logits[index]:G9} "
                    + $"(allowed difference {tolerance:G3})"
            );
        }

        return null;
    }

    /// <summary>Planes of bytes as a tensor of floats.</summary>
    /// <param name="planes">count x 3 x height x width bytes.</param>
    /// <param name="input">Name of the model's input.</param>
    /// <param name="card">Says how large pictures are.</param>
    public static Tensor ToPixels(ReadOnlySpan<byte> planes, string input, ModelCard card)
    {
        var data = new byte[planes.Length * sizeof(float)];
        var target = MemoryMarshal.Cast<byte, float>(data.AsSpan());
        for (var index = 0; index < planes.Length; index++)
            target[index] = planes[index];
        var count = planes.Length / (3 * card.Width * card.Height);
        return new Tensor(input, TensorType.FP32, [count, 3, card.Height, card.Width]) { Data = data };
    }
}
