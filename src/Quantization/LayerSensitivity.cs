namespace TorchBridge.Quantization;

/// <summary>
/// The cost of quantizing a single layer, with everything else in float32. The costs of layers do not add up; they
/// show which layer to keep in float32 first.
/// </summary>
/// <param name="Node">Name of the layer's node.</param>
/// <param name="OpType">Operator of the layer: Conv, Gemm or MatMul.</param>
/// <param name="Decibels">Signal-to-noise ratio of the output that is affected most, with only this layer quantized:
/// the lower, the higher the cost.</param>
/// <param name="Agreement">Share of rows with the same class; null if the model has no class output.</param>
public sealed record LayerSensitivity(string Node, string OpType, double Decibels, double? Agreement)
{
    /// <summary>The outputs of the model, with only this layer quantized.</summary>
    public IReadOnlyList<OutputFidelity> Outputs { get; init; } = [];
}
