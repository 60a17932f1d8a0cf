namespace TorchBridge.Quantization;

/// <summary>How far a quantization is.</summary>
/// <param name="Phase"><c>calibration</c>, <c>verification</c> or <c>sensitivity</c>.</param>
/// <param name="Done">Batches, or layers, done in this phase, from 1.</param>
/// <param name="Total">Steps in all; null where the number of batches is not known.</param>
public sealed record QuantizationProgress(string Phase, int Done, int? Total);
