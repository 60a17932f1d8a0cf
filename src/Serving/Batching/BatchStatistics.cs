namespace TorchBridge.Serving.Batching;

/// <summary>Counts the runs of a model version since it was loaded.</summary>
internal sealed class BatchStatistics
{
    /// <summary>Guards all fields: workers write them while other threads read.</summary>
    private readonly Lock gate = new();

    /// <summary>Number of runs for each number of rows.</summary>
    private readonly SortedDictionary<int, long> runsBySize = [];

    /// <summary>Number of rows computed.</summary>
    private long rows;

    /// <summary>Number of failed runs.</summary>
    private long failures;

    /// <summary>Total time that requests have waited.</summary>
    private TimeSpan queued;

    /// <summary>Total time of the runs.</summary>
    private TimeSpan computed;

    /// <summary>Counts a successful run.</summary>
    /// <param name="batchRows">Rows of the batch.</param>
    /// <param name="run">Duration of the run.</param>
    /// <param name="queuedInAll">Total time that its requests had waited.</param>
    public void Add(int batchRows, TimeSpan run, TimeSpan queuedInAll)
    {
        lock (gate)
        {
            runsBySize[batchRows] = runsBySize.GetValueOrDefault(batchRows) + 1;
            rows += batchRows;
            computed += run;
            queued += queuedInAll;
        }
    }

    /// <summary>Counts a run that failed.</summary>
    public void AddFailure()
    {
        lock (gate)
            failures++;
    }

    /// <summary>The current statistics.</summary>
    public BatchFigures Read()
    {
        lock (gate)
            return new BatchFigures(
                rows,
                runsBySize.Values.Sum(),
                failures,
                queued,
                computed,
                new SortedDictionary<int, long>(runsBySize)
            );
    }
}
