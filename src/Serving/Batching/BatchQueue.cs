// What it does: one bounded queue a model version. A worker that is free takes what is there, oldest first, up to the
// batch limit, at the moment at which it runs it: a batch grows until it starts. A delay holds back only a batch that
// is not full, and is counted from its oldest request.
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>
/// Requests that wait for one model version, and which of them run next. All members may be called from any thread.
/// </summary>
/// <param name="settings">Sizes and delay.</param>
/// <param name="clock">What measures the delay and the deadlines.</param>
internal sealed class BatchQueue(BatchSettings settings, TimeProvider clock)
{
    /// <summary>Guards every field; workers wait on it until there is something to run.</summary>
    private readonly object gate = new();

    /// <summary>The waiting requests, the oldest first.</summary>
    private readonly LinkedList<PendingRequest> waiting = new();

    /// <summary>Where each of them stands in <see cref="waiting"/>, so that any can be taken out at once.</summary>
    private readonly Dictionary<PendingRequest, LinkedListNode<PendingRequest>> places = [];

    /// <summary>Whether nothing is taken any more; what waits is still run.</summary>
    private bool isClosed;

    /// <summary>Workers that have nothing to do: who takes a batch leaves them their share.</summary>
    private int idle;

    /// <summary>How many wait.</summary>
    public int Count
    {
        get
        {
            lock (gate)
                return waiting.Count;
        }
    }

    /// <summary>Whether another request would be refused now: known before its body is read, so that a busy server spends
    /// nothing on it.</summary>
    public bool IsFull
    {
        get
        {
            lock (gate)
                return !HasRoom();
        }
    }

    /// <summary>Puts a request at the end; false where the queue is full or closed.</summary>
    /// <param name="request">Its time of arrival is set.</param>
    /// <returns>Whether it waits now.</returns>
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

    /// <summary>Takes a request out before it runs; false where it runs already or is done.</summary>
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
    /// <returns>Requests of one key whose rows fit into one batch, oldest first; they are out of the queue. No more than
    /// an equal share where other workers have nothing to do.</returns>
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

                // The clock may be a test's: it wakes the worker, not Monitor's own time-out.
                using var timer = clock.CreateTimer(_ => Wake(), null, left, Timeout.InfiniteTimeSpan);
                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>Takes no more requests; those that wait are still run.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Whether one more may wait, once those that waited too long are gone.</summary>
    private bool HasRoom()
    {
        if (waiting.Count >= settings.Capacity)
            DropExpired();
        return !isClosed && waiting.Count < settings.Capacity;
    }

    /// <summary>Lets a worker look again, when a delay is over.</summary>
    private void Wake()
    {
        lock (gate)
            Monitor.PulseAll(gate);
    }

    /// <summary>
    /// The requests that run with the oldest: the first that fit together. Those of other shapes wait for the next
    /// worker.
    /// </summary>
    /// <param name="oldest">The request whose shapes decide what goes with it.</param>
    /// <param name="most">Rows; a request that has more of them runs alone.</param>
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

    /// <summary>Rows that a worker takes when all that have nothing to do take as many.</summary>
    /// <param name="oldest">The request whose shapes decide what goes with it.</param>
    private int ShareOf(PendingRequest oldest)
    {
        var rows = waiting.Where(request => request.Key == oldest.Key).Sum(request => request.Rows);
        return (rows + idle) / (1 + idle);
    }

    /// <summary>
    /// Refuses the requests that have waited longer than they may: nobody waits for them any more.
    /// </summary>
    private void DropExpired()
    {
        var now = clock.GetTimestamp();
        for (var place = waiting.First; place is not null; )
        {
            var (request, next) = (place.Value, place.Next);
            if (request.Deadline < now && Remove(request))
                request.Fail(
                    new RequestRefusedException(
                        RefusalKind.Expired,
                        "the request has waited longer than it may; the server is busy"
                    )
                );
            place = next;
        }
    }
}
