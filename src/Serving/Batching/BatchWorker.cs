using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>Runs batches of one model version, one after the other, on a thread of its own.</summary>
internal sealed class BatchWorker
{
    /// <summary>Run the model; shared with the other workers of the version.</summary>
    private readonly ModelSessions sessions;

    /// <summary>Where batches come from, and what ends the worker by being closed.</summary>
    private readonly BatchQueue queue;

    /// <summary>Measures runs and waits; the queue's clock too, so that timestamps agree.</summary>
    private readonly TimeProvider clock;

    /// <summary>Told of each run.</summary>
    private readonly IBatchObserver observer;

    /// <summary>In the background: it does not keep the process from ending.</summary>
    private readonly Thread thread;

    /// <summary>Starts a worker; it ends when the queue is closed and empty.</summary>
    /// <param name="sessions">Run the model; shared with the other workers of the version.</param>
    /// <param name="queue">Where batches come from.</param>
    /// <param name="clock">Measures runs and waits.</param>
    /// <param name="observer">Is told of each run.</param>
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

    /// <summary>What the thread does: one batch after another, in memory of its own.</summary>
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
    /// Runs a batch and gives each request its outputs; where it fails, each request alone finds out whose fault it
    /// is.
    /// </summary>
    /// <param name="session">Runs it.</param>
    /// <param name="memory">Of this worker alone.</param>
    /// <param name="batch">Requests of one shape; each is completed, with its part or with the error.</param>
    private void Execute(RuntimeSession session, RunMemory memory, List<PendingRequest> batch)
    {
        var started = clock.GetTimestamp();
        try
        {
            // Outputs that only one of the requests wants are computed for all: a run has one set of them.
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
            // One of them may have spoilt it for the others: each alone finds out which.
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
