namespace TorchBridge.Inference.Pictures;

/// <summary>Reads a picture.</summary>
/// <param name="planes">Receives 3 x height x width bytes: the red plane, the green, the blue.</param>
internal delegate void PlaneReader(Span<byte> planes);
