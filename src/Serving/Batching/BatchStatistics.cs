namespace TorchBridge.Serving.Batching;

/// <summary>What a model version has computed since it was loaded.</summary>
internal sealed class BatchStatistics
{
    /// <summary>Guards every field: workers count while others read.</summary>
    private readonly Lock gate = new();

    /// <summary>How many runs there were of each number of rows.</summary>
    private readonly SortedDictionary<int, long> runsBySize = [];

    /// <summary>Rows that were run.</summary>
    private long rows;

    /// <summary>Runs that failed.</summary>
    private long failures;

    /// <summary>Time that requests waited, all together.</summary>
    private TimeSpan queued;

    /// <summary>Time that runs took, all together.</summary>
    private TimeSpan computed;

    /// <summary>Counts a run.</summary>
    /// <param name="batchRows">Rows of the batch.</param>
    /// <param name="run">How long the run took.</param>
    /// <param name="queuedInAll">How long its requests had waited, added up.</param>
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

    /// <summary>The figures of now.</summary>
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
