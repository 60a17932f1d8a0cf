namespace TorchBridge.Quantization;

/// <summary>A node that stays in float32, and why.</summary>
/// <param name="Node">Its name.</param>
/// <param name="OpType">Its operator.</param>
/// <param name="Reason">Why.</param>
public sealed record LeftInFloat(string Node, string OpType, string Reason);
