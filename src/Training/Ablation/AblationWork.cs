namespace TorchBridge.Training.Ablation;

/// <summary>An ablation at work: finds what is stored, has the rest done, stores each run as it finishes.</summary>
internal sealed class AblationWork
{
    private readonly IReadOnlyList<Variant> variants;
    private readonly IReadOnlyList<(string Variant, RunRequest Request)> requests;
    private readonly RunStore store;
    private readonly IRunScheduler scheduler;
    private readonly Dictionary<string, RunResult> results = new(StringComparer.Ordinal);

    /// <summary>Looks for what is already stored.</summary>
    /// <param name="variants">What is compared.</param>
    /// <param name="requests">All runs, by variant and seed.</param>
    /// <param name="store">Where finished runs are.</param>
    /// <param name="scheduler">Who does the missing ones.</param>
    public AblationWork(
        IReadOnlyList<Variant> variants,
        IReadOnlyList<(string Variant, RunRequest Request)> requests,
        RunStore store,
        IRunScheduler scheduler
    )
    {
        (this.variants, this.requests, this.store, this.scheduler) = (variants, requests, store, scheduler);
        foreach (var (_, request) in requests)
        {
            if (store.Find(request) is { } result)
                results[request.Key] = result;
        }

        NotUsed = store.OtherThan([.. requests.Select(item => item.Request)]);
        Stored = requests.Count(item => results.ContainsKey(item.Request.Key));
    }

    /// <summary>Runs in all.</summary>
    public int Total => requests.Count;

    /// <summary>Runs that were finished before.</summary>
    public int Stored { get; }

    /// <summary>Stored runs that are on other pictures, or of another version, for people; or null.</summary>
    public string? NotUsed { get; }

    /// <summary>The table of what is finished.</summary>
    /// <returns>A row for each variant with at least one finished run; it may be asked for at any time.</returns>
    public IReadOnlyList<AblationRow> Rows() =>
        AblationSummary.Of(
            variants,
            requests
                .Where(item => results.ContainsKey(item.Request.Key))
                .ToDictionary(item => (item.Variant, item.Request.Seed), item => results[item.Request.Key])
        );

    /// <summary>Does what is missing.</summary>
    /// <param name="finished">Hears of each run, with the number that is done.</param>
    /// <param name="stop">Ends it; what is finished is stored.</param>
    /// <returns>When all are done and stored.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public async Task Do(Action<(string Variant, RunResult Result), int> finished, CancellationToken stop)
    {
        // Two variants may be the same run: it is done once.
        var missing = requests
            .Where(item => !results.ContainsKey(item.Request.Key))
            .DistinctBy(item => item.Request.Key)
            .ToArray();
        var names = missing.ToDictionary(item => item.Request.Key, item => item.Variant, StringComparer.Ordinal);
        await foreach (
            var result in scheduler.Run([.. missing.Select(item => item.Request)], stop).ConfigureAwait(false)
        )
        {
            store.Add(result);
            results[result.Request.Key] = result;
            finished(
                (names[result.Request.Key], result),
                requests.Count(item => results.ContainsKey(item.Request.Key))
            );
        }
    }
}
