using System.Diagnostics;

namespace TorchBridge.Inference.Scoring;

/// <summary>Determines how many rows are scored at once: a fixed number, or the fastest of a few sizes, found by
/// timing the first full batches.</summary>
internal sealed class BatchSizer
{
    /// <summary>Bytes of rows in a batch if the size is chosen automatically.</summary>
    public const long ChosenBytes = 32 << 20;

    /// <summary>Largest number of bytes in one array, whatever batch size was requested.</summary>
    private const long MostBytes = 1 << 30;

    private static readonly int[] Sizes = [64, 128, 64, 128];
    private readonly int[] candidates;
    private readonly Dictionary<int, double> secondsARow = [];
    private readonly Lock gate = new();
    private int tried;
    private int found;

    /// <summary>Creates a sizer.</summary>
    /// <param name="asked">Requested batch size, or null to choose it by timing. More than a gigabyte of rows is
    /// scored in several batches.</param>
    /// <param name="rowBytes">Bytes per row, if known: large pictures use smaller batches.</param>
    public BatchSizer(int? asked, long rowBytes = 0)
    {
        candidates = [.. Sizes.Select(size => rowBytes > 0 ? (int)Math.Clamp(ChosenBytes / rowBytes, 1, size) : size)];
        if (asked is < 1)
            throw new ArgumentOutOfRangeException(nameof(asked), asked, "the batch size must be at least 1");
        found = asked is { } rows && rowBytes > 0 ? (int)Math.Clamp(MostBytes / rowBytes, 1, rows) : asked ?? 0;
    }

    /// <summary>
    /// Size of the next batch: the requested one, the chosen one, or the next size to try.
    /// </summary>
    public int Next
    {
        get
        {
            lock (gate)
                return found > 0 ? found : candidates[tried];
        }
    }

    /// <summary>Runs a batch and measures it if it is full.</summary>
    /// <typeparam name="T">Result of the run.</typeparam>
    /// <param name="rows">Number of rows in the batch; a smaller last batch is not measured.</param>
    /// <param name="run">Scores the batch.</param>
    /// <returns>The result of <paramref name="run"/>.</returns>
    public T Timed<T>(int rows, Func<T> run)
    {
        var started = Stopwatch.GetTimestamp();
        var result = run();
        lock (gate)
        {
            if (found > 0 || rows != candidates[tried])
                return result;
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds / rows;
            secondsARow[rows] = Math.Min(secondsARow.GetValueOrDefault(rows, double.PositiveInfinity), seconds);
            if (++tried == candidates.Length)
                found = secondsARow.MinBy(pair => pair.Value).Key;
        }

        return result;
    }
}
