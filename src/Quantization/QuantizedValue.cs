namespace TorchBridge.Quantization;

/// <summary>A value of the graph that is held in 8 bits: x = (q - ZeroPoint) * Scale.</summary>
/// <param name="Name">Name of the value.</param>
/// <param name="Low">Lower end of the chosen range, at most 0.</param>
/// <param name="High">Upper end of the chosen range, at least 0.</param>
/// <param name="Scale">Size of one step: (High - Low) / 255.</param>
/// <param name="ZeroPoint">The integer that represents zero exactly.</param>
/// <param name="Decibels">Signal-to-noise ratio relative to the float model, with everything before it quantized
/// too.</param>
public sealed record QuantizedValue(string Name, double Low, double High, double Scale, int ZeroPoint, double Decibels);
