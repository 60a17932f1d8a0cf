namespace TorchBridge.Serving.Protocol;

/// <summary>A tensor of a request or a reply: little-endian and row-major, or a list of byte strings.</summary>
/// <param name="Name">Name of the model's input or output.</param>
/// <param name="Type">Datatype of the elements.</param>
/// <param name="Shape">Sizes of the axes, none negative.</param>
internal sealed record Tensor(string Name, TensorType Type, long[] Shape)
{
    /// <summary>The elements, little-endian, as many as the shape says; empty for BYTES.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>The elements of a BYTES tensor; empty for the others.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Strings { get; init; } = [];

    /// <summary>Whether the elements came as JSON strings: a picture is base64 there.</summary>
    public bool IsText { get; init; }

    /// <summary>A tensor of BYTES.</summary>
    /// <param name="name">Name of the model's input or output.</param>
    /// <param name="shape">Sizes of the axes.</param>
    /// <param name="strings">As many elements as the shape says.</param>
    public static Tensor OfStrings(string name, long[] shape, IReadOnlyList<ReadOnlyMemory<byte>> strings) =>
        new(name, TensorType.Bytes, shape) { Strings = strings };
}
