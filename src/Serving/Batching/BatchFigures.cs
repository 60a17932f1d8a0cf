namespace TorchBridge.Serving.Batching;

/// <summary>Figures of a model version since it was loaded, for <c>/stats</c>.</summary>
/// <param name="Rows">Rows computed.</param>
/// <param name="Runs">Runs that computed them.</param>
/// <param name="Failures">Runs that failed.</param>
/// <param name="Queued">Time that requests have waited, added up.</param>
/// <param name="Computed">Time of the runs, added up.</param>
/// <param name="RunsBySize">Runs by their rows.</param>
internal sealed record BatchFigures(
    long Rows,
    long Runs,
    long Failures,
    TimeSpan Queued,
    TimeSpan Computed,
    IReadOnlyDictionary<int, long> RunsBySize
);
