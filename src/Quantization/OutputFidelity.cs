namespace TorchBridge.Quantization;

/// <summary>An output of the quantized model against the float model's.</summary>
/// <param name="Name">The output.</param>
/// <param name="Decibels">Signal-to-noise ratio: 10 log10 of the float model's mean square over the error's.</param>
/// <param name="LargestAbsolute">Largest difference.</param>
/// <param name="LargestValue">Largest absolute value of the float model's output.</param>
public sealed record OutputFidelity(string Name, double Decibels, double LargestAbsolute, double LargestValue)
{
    /// <summary>Share of the elements that are the same, 0 to 1, of an output of integers or booleans; null for floating-point ones.</summary>
    public double? Equal { get; init; }
}
