using System.Globalization;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>The options of a worker.</summary>
/// <param name="Name">The worker's name, for messages.</param>
/// <param name="Slots">Number of items that are processed at the same time.</param>
/// <param name="Program">The program version; jobs of another version are left to other workers.</param>
internal sealed record WorkerOptions(string Name, int Slots, string Program)
{
    /// <summary>The key of the only job to work on; null for all open jobs.</summary>
    public string? Job { get; init; }

    /// <summary>How long to wait before asking again, after there were no items or no answer.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>The clock for waiting and for renewals.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Receives messages for the user, one line each.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>A name for this process: machine and process id.</summary>
    public static string DefaultName =>
        FormattableString.Invariant($"{Environment.MachineName}:{Environment.ProcessId}");
}

/// <summary>Asks for leases, renews them, has the items processed, and reports the outcome. While the coordinator
/// cannot be reached, the worker continues with the items that it has, and retries its calls until they are
/// answered.</summary>
/// <param name="client">The connection to the coordinator.</param>
/// <param name="runner">Processes the items.</param>
/// <param name="options">The worker's options.</param>
internal sealed class Worker(IGrainFactory client, IItemRunner runner, WorkerOptions options)
{
    private readonly Dictionary<Task, ItemLease> running = [];
    private bool isAway;
    private int done;

    /// <summary>Number of items that it has completed.</summary>
    public int Done => done;

    /// <summary>Works until it is cancelled, or until its only job has ended. When it is cancelled, it gives back the
    /// items that it has.</summary>
    public async Task Run(CancellationToken stop)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                var (started, finished) = await Ask(stop).ConfigureAwait(false);
                if (finished && running.Count == 0 && options.Job is not null)
                    return;
                if (!started || running.Count >= options.Slots)
                    await WaitForSomething(stop).ConfigureAwait(false);
                RemoveFinished();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // stopping was asked for
        }
        finally
        {
            await Task.WhenAll(running.Keys).ConfigureAwait(false);
        }
    }

    private async Task<(bool Started, bool Finished)> Ask(CancellationToken stop)
    {
        var free = options.Slots - running.Count;
        if (free == 0)
            return (false, false);
        var before = running.Count;
        var isFinished = false;
        foreach (var job in await Jobs(stop).ConfigureAwait(false))
        {
            var answer = await Retry(() => client.GetGrain<IJobGrain>(job).Lease(options.Name, free), stop)
                .ConfigureAwait(false);
            foreach (var lease in answer.Leases)
                running.Add(Task.Run(() => Do(lease, stop), CancellationToken.None), lease);
            isFinished = answer.IsFinished;
            free -= answer.Leases.Length;
            if (free == 0)
                break;
        }

        return (running.Count > before, isFinished);
    }

    private async Task<IReadOnlyList<string>> Jobs(CancellationToken stop)
    {
        if (options.Job is not null)
            return [options.Job];
        // This call may be abandoned, because its answer has no effect. A call for a lease may not: its lease would
        // be lost.
        var all = await Retry(() => client.GetGrain<IDirectoryGrain>(0).Jobs().WaitAsync(stop), stop)
            .ConfigureAwait(false);
        return [.. all.Where(entry => entry.Ticket.Program == options.Program).Select(entry => entry.Job)];
    }

    private async Task WaitForSomething(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var pause = Task.Delay(options.Poll, options.Clock, over.Token);
        // With all slots in use, wait until an item ends; otherwise also stop waiting when it is time to ask again.
        await Task.WhenAny(running.Count >= options.Slots ? running.Keys : [.. running.Keys, pause])
            .ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        stop.ThrowIfCancellationRequested();
    }

    private void RemoveFinished()
    {
        foreach (var task in running.Keys.Where(task => task.IsCompleted).ToArray())
            running.Remove(task);
    }

    private async Task Do(ItemLease lease, CancellationToken stop)
    {
        var segment = client.GetGrain<ISegmentGrain>(Segments.KeyOf(lease.Job, lease.Run, lease.Index));
        using var lost = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var renewing = Renew(segment, lease, lost, over.Token);
        try
        {
            var error = await Attempt(lease, lost.Token).ConfigureAwait(false);
            await over.CancelAsync().ConfigureAwait(false);
            var counts = error is null
                ? await Retry(() => segment.Complete(lease.Index, lease.Epoch), stop).ConfigureAwait(false)
                : await Retry(() => segment.Fail(lease.Index, lease.Epoch, error), stop).ConfigureAwait(false);
            if (error is not null)
                options.Say(FormattableString.Invariant($"item {lease.Index}, attempt {lease.Epoch}: {error}"));
            if (!counts)
                options.Say(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"item {lease.Index}, attempt {lease.Epoch}: the lease had expired before the result was reported; "
                            + $"another worker may have the item."
                    )
                );
            else if (error is null)
                Interlocked.Increment(ref done);
        }
        catch (OperationCanceledException)
        {
            if (stop.IsCancellationRequested)
                await GiveBack(segment, lease).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await renewing.ConfigureAwait(false);
        }
    }

    private async Task<string?> Attempt(ItemLease lease, CancellationToken stop)
    {
        try
        {
            return await runner.Run(lease, stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Such as a child that cannot be started. The attempt has failed, but the worker goes on.
            return error.Message;
        }
    }

    /// <summary>Renews a lease after every third of its duration; cancels the item when the lease is void.</summary>
    private async Task Renew(
        ISegmentGrain segment,
        ItemLease lease,
        CancellationTokenSource lost,
        CancellationToken over
    )
    {
        try
        {
            while (true)
            {
                await Task.Delay(lease.Duration / 3, options.Clock, over).ConfigureAwait(false);
                if (await Retry(() => segment.Renew(lease.Index, lease.Epoch), over).ConfigureAwait(false))
                    continue;
                options.Say(
                    FormattableString.Invariant(
                        $"item {lease.Index}: the lease had expired; this worker stops working on the item."
                    )
                );
                await lost.CancelAsync().ConfigureAwait(false);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // the item has ended
        }
    }

    private static async Task GiveBack(ISegmentGrain segment, ItemLease lease)
    {
        try
        {
            await segment.Release(lease.Index, lease.Epoch).ConfigureAwait(false);
        }
        catch (Exception error) when (IsAway(error))
        {
            // the lease then expires by itself
        }
    }

    /// <summary>Repeats a call until the coordinator answers.</summary>
    private async Task<T> Retry<T>(Func<Task<T>> call, CancellationToken stop)
    {
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            try
            {
                var answer = await call().ConfigureAwait(false);
                if (isAway)
                    options.Say("The coordinator answers again.");
                isAway = false;
                return answer;
            }
            catch (Exception error) when (IsAway(error))
            {
                if (!isAway)
                    options.Say(
                        $"The coordinator does not answer ({error.Message.Split('\n')[0]}); trying until it does."
                    );
                isAway = true;
                await Task.Delay(options.Poll, options.Clock, stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Whether a call failed because the coordinator or its store cannot be reached, or has just moved to
    /// another process.</summary>
    public static bool IsAway(Exception error) =>
        error is Orleans.Runtime.OrleansException or TimeoutException or IOException
        || error is ObjectDisposedException
        || error.GetType().Namespace is { } space
            && (
                space.StartsWith("StackExchange.Redis", StringComparison.Ordinal)
                || space.StartsWith("Npgsql", StringComparison.Ordinal)
            );
}
