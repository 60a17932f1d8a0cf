// There is one bounded queue per model version. When a worker is free it takes the waiting requests, oldest first, up
// to the batch limit, and runs them at once, so a batch can grow until it starts. A delay holds back only a batch
// that is not full, and is counted from its oldest request.
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>The requests that wait for one model version; forms the batches that run next. Thread-safe.</summary>
/// <param name="settings">Batch size, delay and capacity.</param>
/// <param name="clock">Clock for the delay and the deadlines.</param>
internal sealed class BatchQueue(BatchSettings settings, TimeProvider clock)
{
    /// <summary>Guards every field; workers wait on it until there is something to run.</summary>
    private readonly object gate = new();

    /// <summary>The waiting requests, the oldest first.</summary>
    private readonly LinkedList<PendingRequest> waiting = new();

    /// <summary>The position of each request in <see cref="waiting"/>, for removal in constant time.</summary>
    private readonly Dictionary<PendingRequest, LinkedListNode<PendingRequest>> places = [];

    /// <summary>Whether new requests are refused; waiting ones are still run.</summary>
    private bool isClosed;

    /// <summary>Number of workers with nothing to do; a worker that takes a batch leaves them their share.</summary>
    private int idle;

    /// <summary>Number of waiting requests.</summary>
    public int Count
    {
        get
        {
            lock (gate)
                return waiting.Count;
        }
    }

    /// <summary>
    /// Whether another request would be refused now. Checked before a request's body is read, so that a busy server
    /// does no work for it.
    /// </summary>
    public bool IsFull
    {
        get
        {
            lock (gate)
                return !HasRoom();
        }
    }

    /// <summary>Adds a request at the end, unless the queue is full or closed.</summary>
    /// <param name="request">The request; its time of arrival is set.</param>
    /// <returns>Whether the request was added.</returns>
    public bool TryAdd(PendingRequest request)
    {
        lock (gate)
        {
            if (!HasRoom())
                return false;
            request.EnqueuedAt = clock.GetTimestamp();
            places.Add(request, waiting.AddLast(request));
            Monitor.PulseAll(gate);
            return true;
        }
    }

    /// <summary>Removes a request before it runs; false if it is already running or has ended.</summary>
    /// <param name="request">A request that was added.</param>
    public bool Remove(PendingRequest request)
    {
        lock (gate)
        {
            if (!places.Remove(request, out var place))
                return false;
            waiting.Remove(place);
            return true;
        }
    }

    /// <summary>Waits for the next batch; null when the queue is closed and empty.</summary>
    /// <returns>Requests of equal key whose rows fit into one batch, oldest first, removed from the queue. If other
    /// workers are idle, at most an equal share of the waiting rows.</returns>
    public List<PendingRequest>? Take()
    {
        lock (gate)
        {
            while (true)
            {
                DropExpired();
                if (waiting.First is not { Value: var oldest })
                {
                    if (isClosed)
                        return null;
                    idle++;
                    Monitor.Wait(gate);
                    idle--;
                    continue;
                }

                var (batch, isFull) = Collect(oldest, settings.MaxRows);
                var left = settings.Delay - clock.GetElapsedTime(oldest.EnqueuedAt);
                if (isFull || isClosed || left <= TimeSpan.Zero)
                {
                    if (idle > 0)
                        (batch, _) = Collect(oldest, Math.Min(settings.MaxRows, ShareOf(oldest)));
                    foreach (var request in batch)
                        Remove(request);
                    return batch;
                }

                // A timer of the clock wakes the worker, not Monitor's own timeout, because the clock may be a
                // test's.
                using var timer = clock.CreateTimer(_ => Wake(), null, left, Timeout.InfiniteTimeSpan);
                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>Refuses new requests; waiting ones are still run.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Whether one more request can be added, after expired ones are removed.</summary>
    private bool HasRoom()
    {
        if (waiting.Count >= settings.Capacity)
            DropExpired();
        return !isClosed && waiting.Count < settings.Capacity;
    }

    /// <summary>Wakes the workers when a delay is over.</summary>
    private void Wake()
    {
        lock (gate)
            Monitor.PulseAll(gate);
    }

    /// <summary>
    /// Collects the requests that can run with the oldest one, in order, until the batch is full. Requests with other
    /// shapes wait for the next worker.
    /// </summary>
    /// <param name="oldest">The oldest request; others need equal shapes to run with it.</param>
    /// <param name="most">Maximum number of rows; a request with more rows runs alone.</param>
    private (List<PendingRequest> Batch, bool IsFull) Collect(PendingRequest oldest, int most)
    {
        var batch = new List<PendingRequest>();
        var rows = 0;
        foreach (var request in waiting)
        {
            if (request.Key != oldest.Key)
                continue;
            if (batch.Count > 0 && rows + request.Rows > most)
                return (batch, true);
            batch.Add(request);
            rows += request.Rows;
            if (rows >= most)
                return (batch, true);
        }

        return (batch, false);
    }

    /// <summary>Number of rows that each worker takes if all idle workers take an equal share.</summary>
    /// <param name="oldest">The oldest request; others need equal shapes to run with it.</param>
    private int ShareOf(PendingRequest oldest)
    {
        var rows = waiting.Where(request => request.Key == oldest.Key).Sum(request => request.Rows);
        return (rows + idle) / (1 + idle);
    }

    /// <summary>Refuses the requests whose deadline has passed; their clients have given up.</summary>
    private void DropExpired()
    {
        var now = clock.GetTimestamp();
        for (var place = waiting.First; place is not null; )
        {
            var (request, next) = (place.Value, place.Next);
            if (request.Deadline < now && Remove(request))
                request.Fail(RequestRefusedException.Expired());
            place = next;
        }
    }
}
