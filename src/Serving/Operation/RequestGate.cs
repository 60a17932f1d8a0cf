using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Limits the number of requests in progress and the total size of their bodies. Thread-safe, without a lock.
/// </summary>
internal sealed class RequestGate(ModelServerOptions options)
{
    private int requests;

    private long bytes;

    /// <summary>Number of requests in progress.</summary>
    public int Requests => Volatile.Read(ref requests);

    /// <summary>Total size of their bodies, in bytes.</summary>
    public long Bytes => Interlocked.Read(ref bytes);

    /// <summary>
    /// Admits a request; every successful call must be followed by one call of <see cref="Leave"/>.
    /// </summary>
    /// <exception cref="RequestRefusedException">The maximum number of requests is in progress.</exception>
    public void Enter()
    {
        if (Interlocked.Increment(ref requests) <= options.MaxConcurrentRequests)
            return;
        Leave();
        throw new RequestRefusedException(
            RefusalKind.Unavailable,
            $"the server is handling {options.MaxConcurrentRequests} requests, its maximum; try again later"
        );
    }

    /// <summary>Ends a request that was admitted.</summary>
    public void Leave() => Interlocked.Decrement(ref requests);

    /// <summary>Reserves bytes before memory is allocated for them.</summary>
    /// <param name="count">Number of bytes.</param>
    /// <exception cref="RequestRefusedException">The maximum number of bytes would be exceeded.</exception>
    public void Take(long count)
    {
        if (Interlocked.Add(ref bytes, count) <= options.MaxBytesInFlight)
            return;
        Give(count);
        throw new RequestRefusedException(
            RefusalKind.Unavailable,
            "the server has no memory left for this request; try again later"
        );
    }

    /// <summary>Releases reserved bytes.</summary>
    /// <param name="count">Number of bytes that were reserved before.</param>
    public void Give(long count) => Interlocked.Add(ref bytes, -count);
}
