using System.Security.Cryptography;
using TorchBridge.Inference;

namespace TorchBridge.Serving.Runtime;

/// <summary>
/// A model file that was read into memory. All further steps use these bytes, even if the file changes meanwhile.
/// </summary>
/// <param name="Path">Path of the file.</param>
/// <param name="Bytes">Content of the file.</param>
/// <param name="Scan">The file's metadata and the names of its data files.</param>
internal sealed record ModelSource(string Path, byte[] Bytes, OnnxScan Scan)
{
    /// <summary>The first half of the file's SHA-256, in hexadecimal digits; identifies the served content.</summary>
    public string Digest { get; } = Convert.ToHexStringLower(SHA256.HashData(Bytes).AsSpan(0, 16));

    /// <summary>The description inside a TorchBridge classifier; null for any other model.</summary>
    public ModelCard? Card { get; } = ReadCard(Scan, Path);

    /// <summary>Reads a file.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <returns>The file's content and metadata.</returns>
    /// <exception cref="ModelLoadException">The file cannot be read, is not an ONNX file, or stores tensors in a
    /// place that is not allowed.</exception>
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

    /// <summary>Reads the description of a TorchBridge classifier; null if the metadata name no classes.</summary>
    /// <param name="scan">The file's metadata.</param>
    /// <param name="path">Path of the file, for error messages.</param>
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
                    $"{path} has no classes, or its picture size of {card.Width} x {card.Height} pixels is out of range; "
                        + "1 to 8192 are allowed"
                );
        }
        catch (Exception error) when (error is InvalidDataException or OverflowException)
        {
            throw new ModelLoadException(error.Message, error);
        }
    }
}
