namespace TorchBridge.Inference;

/// <summary>The prediction of a classifier for one picture.</summary>
/// <param name="Label">Name of the most probable class; empty if the network returns NaN.</param>
/// <param name="Probabilities">One per class, 0 to 1, in the order of <see cref="ImageClassifier.ClassNames"/>; they
/// sum to one.</param>
/// <param name="Logits">One per class, in the same order, before softmax.</param>
public sealed record Prediction(string Label, IReadOnlyList<float> Probabilities, IReadOnlyList<float> Logits);
