using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Name, type and shape of a graph's input, output or intermediate value. A free size is a name, and the same name in
/// two shapes means the same size.
/// </summary>
/// <param name="Name">The value.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dims">A dimension is a long, or a text where it is free.</param>
internal sealed record ValueInfo(string Name, ElementType Type, object[] Dims)
{
    /// <summary>
    /// The message of an info that was read from a file, written again as it stood: it may leave the shape out, or
    /// describe a sequence.
    /// </summary>
    public ValueInfoProto? Stored { get; init; }
}
