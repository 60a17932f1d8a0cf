using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>Runs batches of one model version one after another, on its own thread.</summary>
internal sealed class BatchWorker
{
    /// <summary>The sessions that run the model, shared with the other workers of the version.</summary>
    private readonly ModelSessions sessions;

    /// <summary>The queue from which batches come; closing it ends the worker.</summary>
    private readonly BatchQueue queue;

    /// <summary>
    /// Clock for run and waiting times; the same as the queue's, so that timestamps can be compared.
    /// </summary>
    private readonly TimeProvider clock;

    /// <summary>Notified of each run.</summary>
    private readonly IBatchObserver observer;

    /// <summary>The worker's thread; a background thread, so that it does not keep the process alive.</summary>
    private readonly Thread thread;

    /// <summary>Starts a worker, which ends when the queue is closed and empty.</summary>
    /// <param name="sessions">The sessions that run the model, shared with the other workers of the version.</param>
    /// <param name="queue">The queue from which batches come.</param>
    /// <param name="clock">Clock for run and waiting times.</param>
    /// <param name="observer">Notified of each run.</param>
    /// <param name="name">The thread's name.</param>
    public BatchWorker(
        ModelSessions sessions,
        BatchQueue queue,
        TimeProvider clock,
        IBatchObserver observer,
        string name
    )
    {
        this.sessions = sessions;
        this.queue = queue;
        this.clock = clock;
        this.observer = observer;
        thread = new Thread(Work) { IsBackground = true, Name = name };
        thread.Start();
    }

    /// <summary>Waits until the queue is closed and its last batch has run.</summary>
    public void Join() => thread.Join();

    /// <summary>The thread's loop: runs one batch after another, using memory of its own.</summary>
    private void Work()
    {
        using var memory = new RunMemory();
        while (queue.Take() is { } batch)
        {
            var session = sessions.Enter(othersWait: queue.Count > 0);
            try
            {
                Execute(session, memory, batch);
            }
            finally
            {
                sessions.Leave();
            }
        }
    }

    /// <summary>
    /// Runs a batch and gives each request its outputs. If a batch of several requests fails, each request is run
    /// again alone, so that only the faulty ones fail.
    /// </summary>
    /// <param name="session">The session that runs the batch.</param>
    /// <param name="memory">This worker's memory.</param>
    /// <param name="batch">Requests of equal shapes; each is completed with its outputs or with an error.</param>
    private void Execute(RuntimeSession session, RunMemory memory, List<PendingRequest> batch)
    {
        var started = clock.GetTimestamp();
        try
        {
            // A run has one set of outputs: an output that any request wants is computed for all of them.
            int[] outputs = [.. batch.SelectMany(request => request.Outputs).Distinct().Order()];
            var results = session.Run(memory, [.. batch.Select(request => request.Inputs)], outputs);
            var run = clock.GetElapsedTime(started);
            var rows = batch.Sum(request => request.Rows);
            observer.Ran(rows, run, [.. batch.Select(request => clock.GetElapsedTime(request.EnqueuedAt, started))]);
            for (var index = 0; index < batch.Count; index++)
            {
                var result = results[index];
                Tensor[] wanted = [.. batch[index].Outputs.Select(output => result[Array.IndexOf(outputs, output)])];
                batch[index]
                    .Complete(
                        new ComputedOutputs(wanted, clock.GetElapsedTime(batch[index].EnqueuedAt, started), run, rows)
                    );
            }
        }
        catch (ModelRunException) when (batch.Count > 1)
        {
            // Perhaps only one request caused the failure: run each of them alone.
            foreach (var request in batch)
                Execute(session, memory, [request]);
        }
        catch (Exception error)
        {
            observer.Failed(error);
            foreach (var request in batch)
                request.Fail(error);
        }
    }
}
