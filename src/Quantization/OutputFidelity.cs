namespace TorchBridge.Quantization;

/// <summary>
/// One output of the quantized model against the float model's, over all batches together.
/// </summary>
/// <param name="Name">The output.</param>
/// <param name="Decibels">Signal-to-noise ratio: 10 log10 of the float model's mean square over the error's; from
/// -200 to 200.</param>
/// <param name="LargestAbsolute">Largest difference; infinity where NaN or infinity stands on one side only.</param>
/// <param name="LargestValue">Largest absolute value of the float model's output.</param>
public sealed record OutputFidelity(string Name, double Decibels, double LargestAbsolute, double LargestValue)
{
    /// <summary>Share of the elements that are the same, 0 to 1, of an output of integers, booleans or text; null for
    /// floating-point ones.</summary>
    public double? Equal { get; init; }

    /// <summary>Batches in which the output had other sizes than the float model's: outputs whose rows depend on the
    /// data may.</summary>
    public int OtherShapes { get; init; }
}
