// What ONNX files may hold outside of themselves are tensors: initializers and attributes, in the graph and in the
// graphs inside (If, Loop, Scan). ML.NET and sessions that are opened from memory take one array of bytes: this makes
// it.
using Google.Protobuf;
using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Format;

/// <summary>Reads a model as one array of bytes, the data files beside it included.</summary>
internal static class EmbeddedModel
{
    /// <summary>
    /// A model's bytes: the file's own where it is whole, else those of a copy that holds the data files' tensors
    /// itself. What is no model is given back as it is, for who opens it to report.
    /// </summary>
    /// <param name="path">The model's file; its data files stand beside it.</param>
    /// <returns>Bytes of one protobuf message, below 2 GB.</returns>
    /// <exception cref="InvalidDataException">A tensor is stored in a place that is not allowed, or all are beyond 2
    /// GB.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static byte[] Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        // The field's key as every writer spells it: without it no tensor is outside, and most files need no parsing.
        if (bytes.AsSpan().IndexOf("location"u8) < 0)
            return bytes;
        ModelProto model;
        try
        {
            model = ModelProto.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException)
        {
            return bytes; // for who opens it to report
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
                    $"{path} has {size} bytes with its data; one array holds up to {int.MaxValue} (2 GB)"
                )
            );
    }

    /// <summary>Every tensor that may stand outside the file, in subgraphs too.</summary>
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
