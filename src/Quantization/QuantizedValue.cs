namespace TorchBridge.Quantization;

/// <summary>A value of the graph that is held in 8 bits: x = (q - ZeroPoint) * Scale.</summary>
/// <param name="Name">The value.</param>
/// <param name="Low">Least number of the range that was chosen, 0 or below.</param>
/// <param name="High">Greatest number of it, 0 or above.</param>
/// <param name="Scale">What one step is worth: (High - Low) / 255.</param>
/// <param name="ZeroPoint">The integer that stands for zero, exactly.</param>
/// <param name="Decibels">Signal-to-noise ratio against the float model, with everything before it quantized
/// too.</param>
public sealed record QuantizedValue(string Name, double Low, double High, double Scale, int ZeroPoint, double Decibels);
