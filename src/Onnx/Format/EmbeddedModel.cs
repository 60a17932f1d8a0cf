// An ONNX file may keep tensors in other files: initializers and attributes of the graph and of its subgraphs (If,
// Loop, Scan). ML.NET, and sessions that are opened from memory, need the whole model as one byte array.
using Google.Protobuf;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>Reads a model, including the data files next to it, into one byte array.</summary>
internal static class EmbeddedModel
{
    /// <summary>
    /// The bytes of a model: those of the file if it holds all its tensors, otherwise those of a copy into which the
    /// tensors of the data files have been copied. A file that is not a model is returned unchanged; opening it then
    /// reports the error.
    /// </summary>
    /// <param name="path">The model's file; its data files are in the same folder.</param>
    /// <returns>Bytes of one protobuf message, below 2 GB.</returns>
    /// <exception cref="InvalidDataException">A tensor is stored in a place that is not allowed, or the model and its
    /// tensors exceed 2 GB.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static byte[] Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        // Every external tensor has the key "location". Most files do not contain this word and need no parsing.
        if (bytes.AsSpan().IndexOf("location"u8) < 0)
            return bytes;
        ModelProto model;
        try
        {
            model = ModelProto.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException)
        {
            return bytes; // opening the model reports the error
        }

        var outside = Tensors(model).Where(ExternalData.IsExternal).ToArray();
        if (outside.Length == 0)
            return bytes;
        try
        {
            foreach (var tensor in outside)
                ExternalData.Embed(tensor, path);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{path} cannot be read: {error.Message}", error);
        }

        long size = outside.Sum(tensor => (long)tensor.RawData.Length) + bytes.Length;
        return size < int.MaxValue
            ? model.ToByteArray()
            : throw new InvalidDataException(
                FormattableString.Invariant(
                    $"{path} and its data files hold {size} bytes; one array can hold at most {int.MaxValue} (2 GB)"
                )
            );
    }

    /// <summary>Every tensor whose data may be outside the file, including those in subgraphs.</summary>
    private static IEnumerable<TensorProto> Tensors(ModelProto model) => model.Graph is { } graph ? Tensors(graph) : [];

    private static IEnumerable<TensorProto> Tensors(GraphProto graph) =>
        graph.Initializer.Concat(graph.Node.SelectMany(Tensors));

    private static IEnumerable<TensorProto> Tensors(NodeProto node)
    {
        foreach (var attribute in node.Attribute)
        {
            if (attribute.T is not null)
                yield return attribute.T;
            if (attribute.G is null)
                continue;
            foreach (var tensor in Tensors(attribute.G))
                yield return tensor;
        }
    }
}
