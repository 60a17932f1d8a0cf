namespace TorchBridge.Quantization;

/// <summary>Progress of a quantization.</summary>
/// <param name="Phase"><c>calibration</c>, <c>verification</c> or <c>sensitivity</c>.</param>
/// <param name="Done">Number of batches or layers finished in this phase, from 1.</param>
/// <param name="Total">Total number of steps; null if the number of batches is unknown.</param>
public sealed record QuantizationProgress(string Phase, int Done, int? Total);
