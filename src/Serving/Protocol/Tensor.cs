namespace TorchBridge.Serving.Protocol;

/// <summary>
/// A tensor of a request or a reply; its elements are little-endian in row-major order, or a list of byte strings.
/// </summary>
/// <param name="Name">Name of the model's input or output.</param>
/// <param name="Type">Datatype of the elements.</param>
/// <param name="Shape">Sizes of the axes, none negative.</param>
internal sealed record Tensor(string Name, TensorType Type, long[] Shape)
{
    /// <summary>The elements, as many as the shape requires, little-endian; empty for BYTES.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>The elements of a BYTES tensor; empty for the others.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Strings { get; init; } = [];

    /// <summary>Whether the elements came as JSON strings, in which pictures are base64-encoded.</summary>
    public bool IsText { get; init; }

    /// <summary>Creates a BYTES tensor.</summary>
    /// <param name="name">Name of the model's input or output.</param>
    /// <param name="shape">Sizes of the axes.</param>
    /// <param name="strings">The elements, as many as the shape requires.</param>
    public static Tensor OfStrings(string name, long[] shape, IReadOnlyList<ReadOnlyMemory<byte>> strings) =>
        new(name, TensorType.Bytes, shape) { Strings = strings };
}
