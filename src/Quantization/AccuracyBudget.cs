namespace TorchBridge.Quantization;

/// <summary>How much worse the quantized model may be; below it no file is written.</summary>
public sealed record AccuracyBudget
{
    /// <summary>Accuracy that may be lost, a share of 1, where held-out batches have labels. Default: 0.01.</summary>
    public double AccuracyDrop { get; init; } = 0.01;

    /// <summary>
    /// Least share of rows with the same class, where the first output is [rows, classes] and its columns are classes
    /// (<see cref="QuantizationOptions.IsClassifier"/>); and of equal elements of each output of integers or text.
    /// Default: 0.95.
    /// </summary>
    public double Agreement { get; init; } = 0.95;

    /// <summary>Least signal-to-noise ratio in decibels of each floating-point output. Default: 10.</summary>
    public double Decibels { get; init; } = 10;
}
