namespace TorchBridge.Serving.Batching;

/// <summary>Statistics of a model version since it was loaded, for <c>/stats</c>.</summary>
/// <param name="Rows">Number of rows computed.</param>
/// <param name="Runs">Number of successful runs.</param>
/// <param name="Failures">Number of failed runs.</param>
/// <param name="Queued">Total time that requests have waited.</param>
/// <param name="Computed">Total time of the successful runs.</param>
/// <param name="RunsBySize">Number of runs for each number of rows.</param>
internal sealed record BatchFigures(
    long Rows,
    long Runs,
    long Failures,
    TimeSpan Queued,
    TimeSpan Computed,
    IReadOnlyDictionary<int, long> RunsBySize
);
