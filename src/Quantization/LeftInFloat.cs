namespace TorchBridge.Quantization;

/// <summary>
/// A node that stays in float32, and why: it has no integer kernel, the options keep it in float32, or it fell back
/// because it cost too much accuracy.
/// </summary>
/// <param name="Node">Name of the node.</param>
/// <param name="OpType">Operator of the node.</param>
/// <param name="Reason">Human-readable reason.</param>
public sealed record LeftInFloat(string Node, string OpType, string Reason);
