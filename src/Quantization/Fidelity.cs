namespace TorchBridge.Quantization;

/// <summary>
/// The quantized model against the float model, over rows that it was not calibrated on where such were given.
/// </summary>
/// <param name="Rows">Rows compared: the sum of the batches' first axes.</param>
/// <param name="Agreement">Share of rows with the same class, rows of the first output; null where its columns are no
/// classes.</param>
/// <param name="FloatAccuracy">Accuracy of the float model, 0 to 1; null without labels.</param>
/// <param name="QuantizedAccuracy">Accuracy of the quantized model over the same rows, 0 to 1; null without
/// labels.</param>
/// <param name="Outputs">Each output, in the model's order.</param>
/// <param name="HeldOut">Whether the rows are others than those of calibration. Where they are the same, the figures
/// flatter.</param>
public sealed record Fidelity(
    long Rows,
    double? Agreement,
    double? FloatAccuracy,
    double? QuantizedAccuracy,
    IReadOnlyList<OutputFidelity> Outputs,
    bool HeldOut
);
