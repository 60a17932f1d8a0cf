using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>How a worker works.</summary>
/// <param name="Name">For people.</param>
/// <param name="Slots">Items at a time.</param>
/// <param name="Program">Its version: jobs of another one are left to others.</param>
internal sealed record WorkerOptions(string Name, int Slots, string Program)
{
    /// <summary>The one job it works for; null for all there are.</summary>
    public string? Job { get; init; }

    /// <summary>How long it waits before it asks again where there was nothing.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Its clock.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Hears what is worth a line.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>A name of this process.</summary>
    public static string DefaultName =>
        FormattableString.Invariant($"{Environment.MachineName}:{Environment.ProcessId}");
}

/// <summary>Pulls leases, renews them, has the items done, and says how it went. Where the coordinator is away it goes
/// on with what it has, and tries until it answers again.</summary>
/// <param name="client">Speaks to the coordinator.</param>
/// <param name="runner">Does the items.</param>
/// <param name="options">How.</param>
internal sealed class Worker(IGrainFactory client, IItemRunner runner, WorkerOptions options)
{
    private readonly Dictionary<Task, ItemLease> running = [];
    private bool isAway;
    private int done;

    /// <summary>Items that it has completed.</summary>
    public int Done => done;

    /// <summary>Works until it is stopped, or until its one job is over. What it is at when it is stopped is given
    /// back.</summary>
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
                Reap();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // in peace
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
            var answer = await Insist(() => client.GetGrain<IJobGrain>(job).Lease(options.Name, free), stop)
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
        // Nothing is lost with an answer that nobody waits for any more; a lease would be.
        var all = await Insist(() => client.GetGrain<IDirectoryGrain>(0).Jobs().WaitAsync(stop), stop)
            .ConfigureAwait(false);
        return [.. all.Where(entry => entry.Ticket.Program == options.Program).Select(entry => entry.Job)];
    }

    private async Task WaitForSomething(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var pause = Task.Delay(options.Poll, options.Clock, over.Token);
        // Full: until one ends. Else: until one ends, or it is time to ask again.
        await Task.WhenAny(running.Count >= options.Slots ? running.Keys : [.. running.Keys, pause])
            .ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        stop.ThrowIfCancellationRequested();
    }

    private void Reap()
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
                ? await Insist(() => segment.Complete(lease.Index, lease.Epoch), stop).ConfigureAwait(false)
                : await Insist(() => segment.Fail(lease.Index, lease.Epoch, error), stop).ConfigureAwait(false);
            if (error is not null)
                options.Say(FormattableString.Invariant($"item {lease.Index}, attempt {lease.Epoch}: {error}"));
            if (!counts)
                options.Say(
                    FormattableString.Invariant(
                        $"item {lease.Index}, attempt {lease.Epoch}: the lease had run out; another worker has the item."
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
            // No child can be started, say: that is this attempt's failure, and not the worker's end.
            return error.Message;
        }
    }

    /// <summary>Renews a lease at each third of its time; ends the item where it is void.</summary>
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
                if (await Insist(() => segment.Renew(lease.Index, lease.Epoch), over).ConfigureAwait(false))
                    continue;
                options.Say(
                    FormattableString.Invariant($"item {lease.Index}: the lease is void; the item is dropped.")
                );
                await lost.CancelAsync().ConfigureAwait(false);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // the item is over
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
            // then it runs out
        }
    }

    /// <summary>Asks until there is an answer.</summary>
    private async Task<T> Insist<T>(Func<Task<T>> call, CancellationToken stop)
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

    /// <summary>Whether a call failed because the coordinator or its store is away, or has just moved.</summary>
    public static bool IsAway(Exception error) =>
        error is Orleans.Runtime.OrleansException or TimeoutException or IOException
        || error is ObjectDisposedException
        || error.GetType().Namespace is { } space
            && (
                space.StartsWith("StackExchange.Redis", StringComparison.Ordinal)
                || space.StartsWith("Npgsql", StringComparison.Ordinal)
            );
}
