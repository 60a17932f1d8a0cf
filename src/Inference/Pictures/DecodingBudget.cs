namespace TorchBridge.Inference.Pictures;

/// <summary>
/// Limits the total memory of pictures that are decoded at the same time: a few bytes may declare any picture size,
/// and a service decodes many requests in parallel. A picture that does not fit waits, first come first served; one
/// that would never fit is refused beforehand.
/// </summary>
/// <param name="limit">Limit for all pictures together in bytes, at least 1.</param>
internal sealed class DecodingBudget(long limit)
{
    private readonly object gate = new();

    /// <summary>Bytes in use.</summary>
    private long used;

    /// <summary>The ticket of the next caller.</summary>
    private long nextTicket;

    /// <summary>The ticket whose turn it is.</summary>
    private long served;

    /// <summary>The budget of the process: one gigabyte.</summary>
    public static DecodingBudget Shared { get; } = new(1L << 30);

    /// <summary>The limit in bytes.</summary>
    public long Limit => limit;

    /// <summary>The peak usage since the process started, in bytes.</summary>
    public long Peak { get; private set; }

    /// <summary>Takes memory, waiting until it is available.</summary>
    /// <param name="bytes">Number of bytes, at most <see cref="Limit"/>.</param>
    /// <returns>The share; disposing it lets the next caller continue.</returns>
    public Share Take(long bytes)
    {
        lock (gate)
        {
            var ticket = nextTicket++;
            while (ticket != served || used + bytes > limit)
                Monitor.Wait(gate);
            served++;
            used += bytes;
            Peak = Math.Max(Peak, used);
            Monitor.PulseAll(gate); // the next caller may fit too
            return new Share(this, bytes);
        }
    }

    /// <summary>Returns memory and wakes waiting callers.</summary>
    /// <param name="bytes">The number of bytes taken.</param>
    private void Return(long bytes)
    {
        lock (gate)
        {
            used -= bytes;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Memory in use by one picture.</summary>
    internal readonly struct Share(DecodingBudget budget, long bytes) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose() => budget.Return(bytes);
    }
}
