namespace TorchBridge.Inference.Pictures;

/// <summary>
/// Bounds the memory of all pictures that are decoded at once: a few bytes may claim to be any size, and a service
/// decodes for many. Who does not fit waits, first come first served; a picture that would never fit is refused
/// before.
/// </summary>
/// <param name="limit">Bytes of all pictures together, 1 and up.</param>
internal sealed class DecodingBudget(long limit)
{
    private readonly object gate = new();

    /// <summary>Bytes that are taken now.</summary>
    private long used;

    /// <summary>The place in the line of who comes next.</summary>
    private long nextTicket;

    /// <summary>The place whose turn it is.</summary>
    private long served;

    /// <summary>The process's: a gigabyte.</summary>
    public static DecodingBudget Shared { get; } = new(1L << 30);

    /// <summary>Bytes of all together.</summary>
    public long Limit => limit;

    /// <summary>Most that was in use at once since the process began, in bytes.</summary>
    public long Peak { get; private set; }

    /// <summary>Takes memory, and waits for it where others have it.</summary>
    /// <param name="bytes">How much, at most <see cref="Limit"/>.</param>
    /// <returns>The memory; disposing of it lets the next one in the line go on.</returns>
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
            Monitor.PulseAll(gate); // the next in the line may fit too
            return new Share(this, bytes);
        }
    }

    /// <summary>Gives memory back, and wakes who waits.</summary>
    /// <param name="bytes">As many as were taken.</param>
    private void Return(long bytes)
    {
        lock (gate)
        {
            used -= bytes;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Memory that is in use.</summary>
    internal readonly struct Share(DecodingBudget budget, long bytes) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose() => budget.Return(bytes);
    }
}
