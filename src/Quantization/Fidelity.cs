namespace TorchBridge.Quantization;

/// <summary>
/// The quantized model compared with the float model, over held-out rows if there are any.
/// </summary>
/// <param name="Rows">Number of rows compared: the sum of the sizes of the batches' first axes.</param>
/// <param name="Agreement">Share of rows of the first output with the same class; null if its columns are not
/// classes.</param>
/// <param name="FloatAccuracy">Accuracy of the float model, 0 to 1; null without labels.</param>
/// <param name="QuantizedAccuracy">Accuracy of the quantized model over the same rows, 0 to 1; null without
/// labels.</param>
/// <param name="Outputs">The outputs, in the model's order.</param>
/// <param name="HeldOut">Whether the rows were not used for calibration. If they were, the figures are
/// optimistic.</param>
public sealed record Fidelity(
    long Rows,
    double? Agreement,
    double? FloatAccuracy,
    double? QuantizedAccuracy,
    IReadOnlyList<OutputFidelity> Outputs,
    bool HeldOut
);
