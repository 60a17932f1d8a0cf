namespace TorchBridge.Quantization;

/// <summary>
/// One output of the quantized model compared with the float model's, over all batches together.
/// </summary>
/// <param name="Name">Name of the output.</param>
/// <param name="Decibels">Signal-to-noise ratio: 10 log10 of the float model's mean square divided by the error's;
/// from -200 to 200.</param>
/// <param name="LargestAbsolute">Largest absolute difference; infinity if only one side has NaN or infinity.</param>
/// <param name="LargestValue">Largest absolute value of the float model's output.</param>
public sealed record OutputFidelity(string Name, double Decibels, double LargestAbsolute, double LargestValue)
{
    /// <summary>Share of equal elements, 0 to 1, for an output of integers, booleans or text; null for floating-point
    /// outputs.</summary>
    public double? Equal { get; init; }

    /// <summary>Number of batches in which the output's shape differed from the float model's, which can happen if
    /// the shape depends on the data.</summary>
    public int OtherShapes { get; init; }
}
