using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>A job from its submission to its end.</summary>
internal static class JobRun
{
    private const int MostVerdicts = 10_000;

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
    /// <param name="decide">Where items are held back: says what becomes of them, whenever something has been done or set
    /// aside. It is asked at the beginning too, and may say a thing twice.</param>
    /// <param name="stop">Ends the waiting and the work here.</param>
    public static async Task<JobProgress> Do(
        IGrainFactory client,
        string job,
        JobTicket ticket,
        IItemRunner? runner,
        WorkerOptions worker,
        Action<JobProgress> progress,
        Func<JobProgress, IReadOnlyList<Verdict>>? decide,
        CancellationToken stop
    )
    {
        var grain = client.GetGrain<IJobGrain>(job);
        try
        {
            await grain.Submit(ticket).ConfigureAwait(false);
        }
        catch (InvalidOperationException error)
        {
            throw new ScaleException(error.Message, error);
        }

        using var metrics = new JobMetrics(job);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var working = runner is null
            ? Task.CompletedTask
            : new Worker(client, runner, worker with { Job = job }).Run(over.Token);
        var unsaid = new List<Verdict>();
        var decidedAt = -1;
        try
        {
            while (true)
            {
                if (await Look(grain).ConfigureAwait(false) is { } now)
                {
                    metrics.Set(now);
                    progress(now);
                    if (now.IsFinished)
                        return now;
                    if (decide is not null && now.Done + now.SetAside != decidedAt)
                    {
                        decidedAt = now.Done + now.SetAside;
                        unsaid.AddRange(decide(now));
                    }

                    if (unsaid.Count > 0 && await Settle(grain, unsaid).ConfigureAwait(false))
                        unsaid.Clear();
                }

                var pause = Task.Delay(worker.Poll, worker.Clock, stop);
                await Task.WhenAny(working.IsCompletedSuccessfully ? pause : working, pause).ConfigureAwait(false);
                if (working.IsFaulted)
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

    /// <summary>Says what becomes of items; false where nobody can hear it now.</summary>
    private static async Task<bool> Settle(IJobGrain grain, IReadOnlyList<Verdict> verdicts)
    {
        try
        {
            foreach (var some in verdicts.Chunk(MostVerdicts))
                await grain.Settle(some).ConfigureAwait(false);
            return true;
        }
        catch (Exception error) when (Worker.IsAway(error))
        {
            return false;
        }
    }

    /// <summary>How far the job is; null where nobody can say now, because the store is away.</summary>
    private static async Task<JobProgress?> Look(IJobGrain grain)
    {
        try
        {
            return await grain.Progress().ConfigureAwait(false);
        }
        catch (Exception error) when (Worker.IsAway(error))
        {
            return null;
        }
    }
}
