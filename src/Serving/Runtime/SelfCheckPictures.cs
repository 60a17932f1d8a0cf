using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using TorchBridge.Inference;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// The pictures inside a TorchBridge classifier, with the logits that the trained network computed for them.
/// </summary>
/// <param name="Planes">count x 3 x height x width bytes.</param>
/// <param name="Logits">count x classes.</param>
/// <param name="RelativeTolerance">Largest allowed difference, relative to the largest logit.</param>
internal sealed record SelfCheckPictures(byte[] Planes, float[] Logits, double RelativeTolerance)
{
    /// <summary>A repeated key is an error.</summary>
    private static readonly JsonSerializerOptions Options = new() { AllowDuplicateProperties = false };

    /// <summary>Number of pictures.</summary>
    public int Count { get; private init; }

    /// <summary>Reads the pictures from a file's metadata; null if there are none.</summary>
    /// <param name="source">The model's file.</param>
    /// <exception cref="ModelLoadException">The metadata are invalid or do not fit the model.</exception>
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
                    $"{pictures.Planes.Length} bytes and {pictures.Logits.Length} logits do not fit "
                        + "the model's picture size and classes"
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

    /// <summary>One picture as the model's input: [1, 3, height, width], with values from 0 to 255.</summary>
    /// <param name="index">Index of the picture, from 0.</param>
    /// <param name="input">Name of the model's input.</param>
    /// <param name="card">The model's description, with the size of its pictures.</param>
    public Tensor Pixels(int index, string input, ModelCard card) => ToPixels(Plane(index, card), input, card);

    /// <summary>The planes of one picture.</summary>
    /// <param name="index">Index of the picture, from 0.</param>
    /// <param name="card">The model's description, with the size of its pictures.</param>
    /// <returns>3 x height x width bytes.</returns>
    public ReadOnlySpan<byte> Plane(int index, ModelCard card) =>
        Planes.AsSpan(index * 3 * card.Width * card.Height, 3 * card.Width * card.Height);

    /// <summary>
    /// Compares computed logits with those of the trained network. Returns null if they agree, otherwise a
    /// description of the difference. NaN never agrees.
    /// </summary>
    /// <param name="logits">The computed logits of all pictures.</param>
    public string? Compare(ReadOnlySpan<float> logits)
    {
        var tolerance = RelativeTolerance * Logits.Max(Math.Abs);
        for (var index = 0; index < Logits.Length; index++)
        {
            if (Math.Abs((double)logits[index] - Logits[index]) <= tolerance)
                continue;
            return string.Create(
                CultureInfo.InvariantCulture,
                $"logit {index} of the self-check is {logits[index]:G9}, but in training it was {Logits[index]:G9} "
                    + $"(allowed difference {tolerance:G3})"
            );
        }

        return null;
    }

    /// <summary>Converts planes of bytes to a tensor of floats.</summary>
    /// <param name="planes">count x 3 x height x width bytes.</param>
    /// <param name="input">Name of the model's input.</param>
    /// <param name="card">The model's description, with the size of its pictures.</param>
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
