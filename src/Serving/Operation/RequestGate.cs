using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Counts the requests in progress and the bytes of their bodies, and lets no more in than there is room for. From
/// any thread, without a lock.
/// </summary>
internal sealed class RequestGate(ModelServerOptions options)
{
    /// <summary>Requests inside.</summary>
    private int requests;

    /// <summary>Bytes of requests inside.</summary>
    private long bytes;

    /// <summary>Requests in progress.</summary>
    public int Requests => Volatile.Read(ref requests);

    /// <summary>Bytes of their bodies.</summary>
    public long Bytes => Interlocked.Read(ref bytes);

    /// <summary>Lets a request in; a success must be followed by one <see cref="Leave"/>.</summary>
    /// <exception cref="RequestRefusedException">The house is full.</exception>
    public void Enter()
    {
        if (Interlocked.Increment(ref requests) <= options.MaxConcurrentRequests)
            return;
        Leave();
        throw new RequestRefusedException(
            RefusalKind.Unavailable,
            $"the server has {options.MaxConcurrentRequests} requests at hand; try again"
        );
    }

    /// <summary>A request has gone.</summary>
    public void Leave() => Interlocked.Decrement(ref requests);

    /// <summary>Takes room for bytes, before they are in memory.</summary>
    /// <param name="count">Bytes.</param>
    /// <exception cref="RequestRefusedException">There is no room.</exception>
    public void Take(long count)
    {
        if (Interlocked.Add(ref bytes, count) <= options.MaxBytesInFlight)
            return;
        Give(count);
        throw new RequestRefusedException(
            RefusalKind.Unavailable,
            "the server has no memory left for this request; try again"
        );
    }

    /// <summary>Gives room back.</summary>
    /// <param name="count">Bytes that were taken before.</param>
    public void Give(long count) => Interlocked.Add(ref bytes, -count);
}
