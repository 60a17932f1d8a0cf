using TorchBridge.Onnx.Format;

namespace TorchBridge.Inference;

/// <summary>Reads the metadata of a file without a session and without its tensors.</summary>
internal static class ModelMetadata
{
    /// <summary>Reads the metadata of a file's bytes.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">Name of the file in error messages.</param>
    /// <returns>The values by key.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ONNX file, or a key has two values.</exception>
    public static IReadOnlyDictionary<string, string> Read(byte[] onnx, string name)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in OnnxReader.MetadataEntries(onnx, name))
        {
            if (!metadata.TryAdd(key, value) && metadata[key] != value)
                throw new InvalidDataException(
                    $"{name} has two values for {key} in its metadata; export it again with one"
                );
        }

        return metadata;
    }
}
