namespace TorchBridge.Quantization;

/// <summary>
/// What quantizing one layer alone costs, with everything else in float32. The costs of layers do not add up: they
/// say which one to keep in float32 first.
/// </summary>
/// <param name="Node">The layer: the name of its node.</param>
/// <param name="OpType">Its operator: Conv, Gemm or MatMul.</param>
/// <param name="Decibels">Signal-to-noise ratio of the output that suffers most, with this layer alone quantized: the
/// lower, the costlier.</param>
/// <param name="Agreement">Share of rows with the same largest output; null where outputs have no rows of
/// classes.</param>
public sealed record LayerSensitivity(string Node, string OpType, double Decibels, double? Agreement)
{
    /// <summary>Each output of the model, with this layer alone quantized.</summary>
    public IReadOnlyList<OutputFidelity> Outputs { get; init; } = [];
}
