using TorchBridge.Inference;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// A loaded version of a model with its queue and workers. It lives until it is retired and the last request that has
/// it is done.
/// </summary>
internal sealed class ModelVersion
{
    /// <summary>The opened model; disposed with the version.</summary>
    private readonly ModelSessions sessions;

    /// <summary>One for each batch that may run at the same time.</summary>
    private readonly BatchWorker[] workers;

    /// <summary>Completed when the version has been disposed.</summary>
    private readonly TaskCompletionSource closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Who holds it: itself, and each request. The last one to let go disposes it.
    /// </summary>
    private int users = 1; // itself

    /// <summary>Starts the workers of a model's sessions, which are disposed with the version.</summary>
    /// <param name="identity">What it is.</param>
    /// <param name="sessions">The opened model.</param>
    /// <param name="settings">How its requests are put together.</param>
    /// <param name="clock">Measures waits and runs.</param>
    /// <param name="observer">Makes what is told of runs.</param>
    public ModelVersion(
        ModelIdentity identity,
        ModelSessions sessions,
        BatchSettings settings,
        TimeProvider clock,
        Func<ModelVersion, IBatchObserver> observer
    )
    {
        this.sessions = sessions;
        Identity = identity;
        Settings = settings;
        Queue = new BatchQueue(settings, clock);
        var told = observer(this);
        workers =
        [
            .. Enumerable
                .Range(0, sessions.Workers)
                .Select(i => new BatchWorker(
                    sessions,
                    Queue,
                    clock,
                    told,
                    $"{Identity.Model} {Identity.Version} worker {i}"
                )),
        ];
    }

    /// <summary>What it is.</summary>
    public ModelIdentity Identity { get; }

    /// <summary>Its inputs and outputs.</summary>
    public ModelSignature Signature => sessions.Signature;

    /// <summary>How its requests are put together.</summary>
    public BatchSettings Settings { get; }

    /// <summary>The requests that wait for it.</summary>
    public BatchQueue Queue { get; }

    /// <summary>What it has computed.</summary>
    public BatchStatistics Statistics { get; } = new();

    /// <summary>Whether axis 0 is a batch.</summary>
    public bool IsBatched => Identity.IsBatched;

    /// <summary>Ends when it has been retired and its memory is free.</summary>
    public Task Closed => closed.Task;

    /// <summary>
    /// Keeps it for a request; false where it is gone already. Every success must be followed by one <see
    /// cref="Release"/>.
    /// </summary>
    public bool TryAcquire()
    {
        var now = Volatile.Read(ref users);
        while (now > 0)
        {
            var seen = Interlocked.CompareExchange(ref users, now + 1, now);
            if (seen == now)
                return true;
            now = seen;
        }

        return false;
    }

    /// <summary>Gives it back; the last to do so, after it was retired, closes it.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref users) > 0)
            return;
        Queue.Close();
        // Not by the request that happens to be the last: its client waits.
        _ = Task.Run(() =>
        {
            foreach (var worker in workers)
                worker.Join();
            sessions.Dispose();
            closed.SetResult();
        });
    }

    /// <summary>The input of pictures' pixels; null where it is no classifier of ours.</summary>
    public TensorSpec? PixelInput => Identity.Card is null ? null : Signature.Inputs[0];

    /// <summary>Names of the classes of an output; none where it has none.</summary>
    /// <param name="output">Name of the output.</param>
    public IReadOnlyList<string> LabelsOf(string output) =>
        Identity.Labels.TryGetValue(output, out var labels) ? labels : [];
}
