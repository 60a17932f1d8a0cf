namespace TorchBridge.Quantization;

/// <summary>
/// The accuracy that quantization may cost. If the quantized model misses the budget, layers fall back to float32
/// where that is allowed; otherwise no file is written.
/// </summary>
public sealed record AccuracyBudget
{
    /// <summary>
    /// Largest accepted loss of accuracy, 0 to 1 (0.01 is one percentage point), where the held-out batches have
    /// labels. Default: 0.01.
    /// </summary>
    public double AccuracyDrop { get; init; } = 0.01;

    /// <summary>
    /// Smallest accepted share of rows with the same class, where the first output is [rows, classes] and its columns
    /// are classes (<see cref="QuantizationOptions.IsClassifier"/>); also the smallest accepted share of equal
    /// elements in each output of integers or text. Default: 0.95.
    /// </summary>
    public double Agreement { get; init; } = 0.95;

    /// <summary>
    /// Smallest accepted signal-to-noise ratio of each floating-point output, in decibels: 10 log10 of the mean
    /// square of the float model's output divided by that of the difference. 20 dB corresponds to an error of one
    /// tenth. Default: 10.
    /// </summary>
    public double Decibels { get; init; } = 10;
}
