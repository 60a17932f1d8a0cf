namespace TorchBridge.Quantization;

/// <summary>
/// How much worse the quantized model may be than the float model. Below it layers fall back to float32 where that is
/// allowed; else no file is written.
/// </summary>
public sealed record AccuracyBudget
{
    /// <summary>
    /// Accuracy that may be lost, 0 to 1 (0.01 is one point of a hundred), where held-out batches have labels.
    /// Default: 0.01.
    /// </summary>
    public double AccuracyDrop { get; init; } = 0.01;

    /// <summary>
    /// Least share of rows with the same class, where the first output is [rows, classes] and its columns are classes
    /// (<see cref="QuantizationOptions.IsClassifier"/>); and of equal elements of each output of integers or text.
    /// Default: 0.95.
    /// </summary>
    public double Agreement { get; init; } = 0.95;

    /// <summary>
    /// Least signal-to-noise ratio of each floating-point output, in decibels: 10 log10 of the mean square of the
    /// float model's output over that of the difference. 20 dB is an error of a tenth. Default: 10.
    /// </summary>
    public double Decibels { get; init; } = 10;
}
