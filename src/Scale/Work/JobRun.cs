using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>A job from its submission to its end.</summary>
internal static class JobRun
{
    /// <summary>The key of a job: its folder, and what it is.</summary>
    /// <param name="folder">The job's folder.</param>
    /// <param name="specification">Hash of its specification.</param>
    public static string KeyOf(string folder, string specification) =>
        ContentHash.Of($"{Path.GetFullPath(folder)}\n{specification}")[..ContentHash.IdLength];

    /// <summary>Submits a job, and waits for its end; works for it too, where a worker is given.</summary>
    /// <param name="client">Speaks to the coordinator.</param>
    /// <param name="job">Its key.</param>
    /// <param name="ticket">What it is.</param>
    /// <param name="runner">Does items here; null to leave them to other workers.</param>
    /// <param name="worker">How.</param>
    /// <param name="progress">Hears how far it is.</param>
    /// <param name="stop">Ends the waiting and the work here.</param>
    public static async Task<JobProgress> Do(
        IGrainFactory client,
        string job,
        JobTicket ticket,
        IItemRunner? runner,
        WorkerOptions worker,
        Action<JobProgress> progress,
        CancellationToken stop
    )
    {
        var grain = client.GetGrain<IJobGrain>(job);
        await grain.Submit(ticket).ConfigureAwait(false);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var working = runner is null
            ? Task.CompletedTask
            : new Worker(client, runner, worker with { Job = job }).Run(over.Token);
        try
        {
            while (true)
            {
                var now = await grain.Progress().ConfigureAwait(false);
                progress(now);
                if (now.IsFinished)
                    return now;
                var pause = Task.Delay(worker.Poll, worker.Clock, stop);
                if (runner is null)
                    await pause.ConfigureAwait(false);
                else if (
                    await Task.WhenAny(working, pause).ConfigureAwait(false) == working
                    && !working.IsCompletedSuccessfully
                )
                    await working.ConfigureAwait(false);
                stop.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await working.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
