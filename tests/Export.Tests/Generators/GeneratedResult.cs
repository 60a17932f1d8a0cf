namespace TorchBridge.Export.Tests.Generators;

/// <summary>A generated case and its outcome.</summary>
/// <param name="Outcome">The outcome.</param>
/// <param name="Case">The case, for a report.</param>
/// <param name="Detail">The refusal, or where the file differs.</param>
public sealed record GeneratedResult(GeneratedOutcome Outcome, string Case, string Detail);
