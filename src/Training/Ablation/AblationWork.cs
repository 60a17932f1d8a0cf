namespace TorchBridge.Training.Ablation;

/// <summary>Runs an ablation: finds stored runs, has the rest done, and stores each run when it finishes.</summary>
internal sealed class AblationWork
{
    private readonly IReadOnlyList<Variant> variants;
    private readonly IReadOnlyList<(string Variant, RunRequest Request)> requests;
    private readonly RunStore store;
    private readonly IRunScheduler scheduler;
    private readonly Dictionary<string, RunResult> results = new(StringComparer.Ordinal);

    /// <summary>Creates the work and looks for stored runs.</summary>
    /// <param name="variants">The variants to compare.</param>
    /// <param name="requests">All runs, by variant and seed.</param>
    /// <param name="store">Store of finished runs.</param>
    /// <param name="scheduler">Does the missing runs.</param>
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

    /// <summary>Total number of runs.</summary>
    public int Total => requests.Count;

    /// <summary>Number of runs that were already finished.</summary>
    public int Stored { get; }

    /// <summary>A note about stored runs with other pictures or from another version, or null.</summary>
    public string? NotUsed { get; }

    /// <summary>The table of the finished runs.</summary>
    /// <returns>A row for each variant with at least one finished run; may be called at any time.</returns>
    public IReadOnlyList<AblationRow> Rows() =>
        AblationSummary.Of(
            variants,
            requests
                .Where(item => results.ContainsKey(item.Request.Key))
                .ToDictionary(item => (item.Variant, item.Request.Seed), item => results[item.Request.Key])
        );

    /// <summary>Does the missing runs.</summary>
    /// <param name="finished">Called after each run, with the number of finished runs.</param>
    /// <param name="stop">Cancels the work; finished runs are stored.</param>
    /// <returns>A task that completes when all runs are done and stored.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task Do(Action<(string Variant, RunResult Result), int> finished, CancellationToken stop)
    {
        // Two variants may be the same run, which is then done once.
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
