namespace TorchBridge.Quantization;

/// <summary>What quantizing one layer alone costs.</summary>
/// <param name="Node">The layer.</param>
/// <param name="OpType">Its operator.</param>
/// <param name="Decibels">Signal-to-noise ratio of the output that suffers most, with this layer alone quantized: the
/// lower, the dearer.</param>
/// <param name="Agreement">Share of rows with the same largest output; null where outputs have no rows of
/// classes.</param>
public sealed record LayerSensitivity(string Node, string OpType, double Decibels, double? Agreement)
{
    /// <summary>Each output of the model, with this layer alone quantized.</summary>
    public IReadOnlyList<OutputFidelity> Outputs { get; init; } = [];
}
