namespace TorchBridge.Serving.Batching;

/// <summary>Is notified of runs on the worker's thread, for statistics and metrics.</summary>
internal interface IBatchObserver
{
    /// <summary>Called after a batch was run successfully.</summary>
    /// <param name="rows">Number of rows of the batch.</param>
    /// <param name="run">Duration of the run.</param>
    /// <param name="queued">How long each of its requests had waited.</param>
    void Ran(int rows, TimeSpan run, IReadOnlyList<TimeSpan> queued);

    /// <summary>Called after a run failed.</summary>
    /// <param name="error">The exception that the run threw.</param>
    void Failed(Exception error);
}
