using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>Runs a job from its submission to its end.</summary>
internal static class JobRun
{
    private const int MostVerdicts = 10_000;

    /// <summary>The key of a job, made of its folder and its specification.</summary>
    /// <param name="folder">The job's folder.</param>
    /// <param name="specification">Hash of the job's specification.</param>
    public static string KeyOf(string folder, string specification) =>
        ContentHash.Of($"{Path.GetFullPath(folder)}\n{specification}")[..ContentHash.IdLength];

    /// <summary>Submits a job and waits until it ends. With a runner, this process also works on the job.</summary>
    /// <param name="client">The connection to the coordinator.</param>
    /// <param name="job">The job's key.</param>
    /// <param name="ticket">The job's description.</param>
    /// <param name="runner">Processes items in this process; null to leave them to other workers.</param>
    /// <param name="worker">Options of the worker in this process.</param>
    /// <param name="progress">Called with the progress.</param>
    /// <param name="decide">For jobs with items that are held back: returns decisions about them. Called at the
    /// beginning, and again whenever an item was done or set aside; it may return a decision more than once.</param>
    /// <param name="stop">Cancels the waiting and the work in this process.</param>
    /// <returns>The final progress.</returns>
    /// <exception cref="ScaleException">The job is already running with other settings.</exception>
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

    /// <summary>Sends decisions; false if the coordinator cannot be reached now.</summary>
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

    /// <summary>The job's progress; null if the coordinator or its store cannot be reached now.</summary>
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
