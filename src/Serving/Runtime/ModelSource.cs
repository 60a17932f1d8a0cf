using System.Security.Cryptography;
using TorchBridge.Inference;

namespace TorchBridge.Serving.Runtime;

/// <summary>A model file as it was read: all that follows is done with these bytes, not with what the file has become
/// meanwhile.</summary>
/// <param name="Path">Where it is.</param>
/// <param name="Bytes">What it holds.</param>
/// <param name="Scan">What it says before it is loaded.</param>
internal sealed record ModelSource(string Path, byte[] Bytes, OnnxScan Scan)
{
    /// <summary>The first half of the file's SHA-256, hexadecimal: names what was served.</summary>
    public string Digest { get; } = Convert.ToHexStringLower(SHA256.HashData(Bytes).AsSpan(0, 16));

    /// <summary>What a classifier of ours says of itself; null for any other model.</summary>
    public ModelCard? Card { get; } = ReadCard(Scan, Path);

    /// <summary>Reads a file.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <returns>Its bytes, and what they say before they are loaded.</returns>
    /// <exception cref="ModelLoadException">It cannot be read, is no ONNX file, or keeps tensors where they are not
    /// read.</exception>
    public static ModelSource Read(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            if (bytes.Length == 0)
                throw new ModelLoadException($"{path} is empty");
            var source = new ModelSource(path, bytes, OnnxScan.Of(bytes, path));
            source.Scan.CheckExternalFiles(path);
            return source;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The card of a classifier of ours; null where the metadata name no classes.</summary>
    /// <param name="scan">What the file says of itself.</param>
    /// <param name="path">For an error.</param>
    private static ModelCard? ReadCard(OnnxScan scan, string path)
    {
        if (!scan.Metadata.ContainsKey(ModelCard.ClassNamesKey))
            return null;
        try
        {
            var card = ModelCard.Read(scan.Metadata, path);
            return card.ClassNames is { Count: > 0 } && card.Width is > 0 and <= 8192 && card.Height is > 0 and <= 8192
                ? card
                : throw new ModelLoadException(
                    $"{path} says it takes pictures of {card.Width} x {card.Height} pixels and has no classes"
                );
        }
        catch (Exception error) when (error is InvalidDataException or OverflowException)
        {
            throw new ModelLoadException(error.Message, error);
        }
    }
}
