namespace TorchBridge.Quantization;

/// <summary>A value that is held in 8 bits.</summary>
/// <param name="Name">The value.</param>
/// <param name="Low">Least number of the range that was chosen.</param>
/// <param name="High">Greatest number of it.</param>
/// <param name="Scale">What one step is worth.</param>
/// <param name="ZeroPoint">The integer of zero.</param>
/// <param name="Decibels">Signal-to-noise ratio against the float model, with everything before it quantized
/// too.</param>
public sealed record QuantizedValue(string Name, double Low, double High, double Scale, int ZeroPoint, double Decibels);
