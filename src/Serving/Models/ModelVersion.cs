using TorchBridge.Inference;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// A loaded version of a model with its queue and workers. It stays open until it has been retired and the last
/// request that uses it has ended.
/// </summary>
internal sealed class ModelVersion
{
    /// <summary>The sessions that run the model; disposed with the version.</summary>
    private readonly ModelSessions sessions;

    /// <summary>The workers, one for each batch that may run at the same time.</summary>
    private readonly BatchWorker[] workers;

    /// <summary>Completed when the version has been disposed.</summary>
    private readonly TaskCompletionSource closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Number of users: the table of models, and each request. The version is closed when it drops to 0.
    /// </summary>
    private int users = 1; // the table of models

    /// <summary>Creates a version and starts its workers.</summary>
    /// <param name="identity">Name, version number and properties of the model.</param>
    /// <param name="sessions">The sessions that run the model; disposed with the version.</param>
    /// <param name="settings">How requests are combined into batches.</param>
    /// <param name="clock">Clock for waiting and run times.</param>
    /// <param name="observer">Creates the object that is notified of runs.</param>
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
        var batchObserver = observer(this);
        workers =
        [
            .. Enumerable
                .Range(0, sessions.Workers)
                .Select(i => new BatchWorker(
                    sessions,
                    Queue,
                    clock,
                    batchObserver,
                    $"{Identity.Model} {Identity.Version} worker {i}"
                )),
        ];
    }

    /// <summary>Name, version number and properties of the model.</summary>
    public ModelIdentity Identity { get; }

    /// <summary>The model's inputs and outputs.</summary>
    public ModelSignature Signature => sessions.Signature;

    /// <summary>How requests are combined into batches.</summary>
    public BatchSettings Settings { get; }

    /// <summary>The requests that wait for this version.</summary>
    public BatchQueue Queue { get; }

    /// <summary>Statistics of the runs.</summary>
    public BatchStatistics Statistics { get; } = new();

    /// <summary>Whether axis 0 is the batch axis.</summary>
    public bool IsBatched => Identity.IsBatched;

    /// <summary>Completes when the version has been retired and its memory has been freed.</summary>
    public Task Closed => closed.Task;

    /// <summary>
    /// Acquires the version for a request; returns false if it is already closed. Every success must be followed by
    /// one call of <see cref="Release"/>.
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

    /// <summary>Releases the version; the last release closes it.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref users) > 0)
            return;
        Queue.Close();
        // In the background, because the client of the last request is waiting.
        _ = Task.Run(() =>
        {
            foreach (var worker in workers)
                worker.Join();
            sessions.Dispose();
            closed.SetResult();
        });
    }

    /// <summary>
    /// The input that takes the pixels of pictures; null if the model is not a TorchBridge classifier.
    /// </summary>
    public TensorSpec? PixelInput => Identity.Card is null ? null : Signature.Inputs[0];

    /// <summary>The class labels of an output; empty if it has none.</summary>
    /// <param name="output">Name of the output.</param>
    public IReadOnlyList<string> LabelsOf(string output) =>
        Identity.Labels.TryGetValue(output, out var labels) ? labels : [];
}
