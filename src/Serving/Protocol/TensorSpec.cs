namespace TorchBridge.Serving.Protocol;

/// <summary>An input or output as a model declares it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its datatype.</param>
/// <param name="Shape">Sizes of its axes; <see cref="Free"/> where a request says them.</param>
internal sealed record TensorSpec(string Name, TensorType Type, IReadOnlyList<long> Shape)
{
    /// <summary>An axis without a size of its own, as the protocol writes it.</summary>
    public const long Free = -1;

    /// <summary>The shape as people read it.</summary>
    public string ShapeText => ShapeRules.Text(Shape);
}
