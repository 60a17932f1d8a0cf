namespace TorchBridge.Serving.Protocol;

/// <summary>Name, datatype and shape of a model's input or output.</summary>
/// <param name="Name">Name of the input or output.</param>
/// <param name="Type">Datatype of the elements.</param>
/// <param name="Shape">Sizes of the axes; <see cref="Free"/> for a dynamic axis.</param>
internal sealed record TensorSpec(string Name, TensorType Type, IReadOnlyList<long> Shape)
{
    /// <summary>The size of a dynamic axis, which each request chooses; the protocol writes it as -1.</summary>
    public const long Free = -1;

    /// <summary>The shape as text, for messages.</summary>
    public string ShapeText => ShapeRules.Text(Shape);
}
