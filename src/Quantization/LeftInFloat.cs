namespace TorchBridge.Quantization;

/// <summary>
/// A node that stays in float32, and why: it has no integer kernel, was asked to, or fell back because it cost too
/// much.
/// </summary>
/// <param name="Node">Its name.</param>
/// <param name="OpType">Its operator.</param>
/// <param name="Reason">Why, as people read it.</param>
public sealed record LeftInFloat(string Node, string OpType, string Reason);
