namespace TorchBridge.Serving.Batching;

/// <summary>Is told of runs, on the worker's thread: statistics and metrics.</summary>
internal interface IBatchObserver
{
    /// <summary>A batch was run.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="run">How long it took.</param>
    /// <param name="queued">How long each of its requests had waited.</param>
    void Ran(int rows, TimeSpan run, IReadOnlyList<TimeSpan> queued);

    /// <summary>A run failed.</summary>
    /// <param name="error">What the run threw.</param>
    void Failed(Exception error);
}
