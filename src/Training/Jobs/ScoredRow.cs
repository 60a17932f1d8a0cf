namespace TorchBridge.Training.Jobs;

/// <summary>A row of a scoring job's result.</summary>
/// <param name="Index">The picture's line in the manifest, from 0.</param>
/// <param name="Path">Its path, as in the manifest.</param>
/// <param name="Sha256">Its digest, as in the manifest.</param>
/// <param name="Label">The most probable class; null if there is an error.</param>
/// <param name="Probability">Probability of that class; null if there is an error.</param>
/// <param name="Error">Why the picture has no class; null if it has one.</param>
internal sealed record ScoredRow(
    long Index,
    string Path,
    string Sha256,
    string? Label,
    float? Probability,
    string? Error
);
