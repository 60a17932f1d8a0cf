using System.Diagnostics;

namespace TorchBridge.Inference.Scoring;

/// <summary>How many rows are scored at once: as asked for, or found on the way, by timing the first full batches of
/// a few sizes.</summary>
internal sealed class BatchSizer
{
    /// <summary>Bytes of rows that are held at once where the size is ours to choose.</summary>
    public const long ChosenBytes = 32 << 20;

    /// <summary>Bytes of rows that one array holds, whatever was asked for.</summary>
    private const long MostBytes = 1 << 30;

    private static readonly int[] Sizes = [64, 128, 64, 128];
    private readonly int[] candidates;
    private readonly Dictionary<int, double> secondsARow = [];
    private readonly Lock gate = new();
    private int tried;
    private int found;

    /// <summary>Makes a sizer.</summary>
    /// <param name="asked">Rows in a batch, or null to find out. More than a gigabyte of them are scored in several
    /// batches.</param>
    /// <param name="rowBytes">Bytes of a row, where they are known: large pictures make smaller batches.</param>
    public BatchSizer(int? asked, long rowBytes = 0)
    {
        candidates = [.. Sizes.Select(size => rowBytes > 0 ? (int)Math.Clamp(ChosenBytes / rowBytes, 1, size) : size)];
        if (asked is < 1)
            throw new ArgumentOutOfRangeException(nameof(asked), asked, "a batch has at least one row");
        found = asked is { } rows && rowBytes > 0 ? (int)Math.Clamp(MostBytes / rowBytes, 1, rows) : asked ?? 0;
    }

    /// <summary>
    /// Rows of the next batch: what was asked for, what was found, or the next size to try.
    /// </summary>
    public int Next
    {
        get
        {
            lock (gate)
                return found > 0 ? found : candidates[tried];
        }
    }

    /// <summary>Runs a batch, and learns from it where it is full.</summary>
    /// <typeparam name="T">What the run gives.</typeparam>
    /// <param name="rows">Rows of the batch; a last, smaller one says nothing of speed.</param>
    /// <param name="run">Scores it.</param>
    /// <returns>What <paramref name="run"/> gave.</returns>
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
