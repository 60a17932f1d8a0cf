using TorchBridge.Onnx.Proto;

namespace TorchBridge.Onnx.Graph;

/// <summary>
/// Name, type and shape of a graph's input, output or intermediate value. A dynamic size is given by a name, and the
/// same name in two shapes means the same size.
/// </summary>
/// <param name="Name">Name of the value.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dims">The shape: a long for each fixed size, a string for each dynamic one.</param>
internal sealed record ValueInfo(string Name, ElementType Type, object[] Dims)
{
    /// <summary>
    /// The protobuf message of a value that was read from a file, which is written back unchanged: it may omit the
    /// shape, or describe a sequence.
    /// </summary>
    public ValueInfoProto? Stored { get; init; }
}
