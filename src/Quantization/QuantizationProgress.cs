namespace TorchBridge.Quantization;

/// <summary>What is going on.</summary>
/// <param name="Phase">Calibration, verification, sensitivity.</param>
/// <param name="Done">Steps done of it.</param>
/// <param name="Total">Steps in all; null where the number of batches is not known.</param>
public sealed record QuantizationProgress(string Phase, int Done, int? Total);
