using TorchBridge.Onnx.Format;

namespace TorchBridge.Inference;

/// <summary>The metadata of a file, without a session and without its tensors.</summary>
internal static class ModelMetadata
{
    /// <summary>Reads the metadata of a file's bytes.</summary>
    /// <param name="onnx">The bytes.</param>
    /// <param name="name">What to call the file in an error.</param>
    /// <returns>By key.</returns>
    /// <exception cref="InvalidDataException">It is no ONNX file, or it says two things under one key: who would know
    /// which of them holds?</exception>
    public static IReadOnlyDictionary<string, string> Read(byte[] onnx, string name)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in OnnxReader.MetadataEntries(onnx, name))
        {
            if (!metadata.TryAdd(key, value) && metadata[key] != value)
                throw new InvalidDataException(
                    $"{name} has two values of {key} in its metadata; export it anew, with one"
                );
        }

        return metadata;
    }
}
