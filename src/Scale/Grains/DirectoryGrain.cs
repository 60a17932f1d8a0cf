namespace TorchBridge.Scale.Grains;

/// <summary>The open jobs.</summary>
internal sealed class DirectoryGrain(
    [PersistentState("directory", Segments.Store)] IPersistentState<StoredDirectory> stored
) : Grain, IDirectoryGrain
{
    /// <inheritdoc/>
    public Task<IReadOnlyList<(string Job, JobTicket Ticket)>> Jobs() =>
        Task.FromResult<IReadOnlyList<(string, JobTicket)>>([
            .. stored.State.Jobs.Select(entry => (entry.Job, entry.Ticket)),
        ]);

    /// <inheritdoc/>
    public async Task Add(string job, JobTicket ticket)
    {
        if (stored.State.Jobs.Exists(entry => entry.Job == job))
            return;
        stored.State.Jobs.Add(new StoredEntry { Job = job, Ticket = ticket });
        await Store();
    }

    /// <inheritdoc/>
    public async Task Remove(string job)
    {
        if (stored.State.Jobs.RemoveAll(entry => entry.Job == job) > 0)
            await Store();
    }

    private async Task Store()
    {
        try
        {
            await stored.WriteStateAsync();
        }
        catch
        {
            DeactivateOnIdle();
            throw;
        }
    }
}

/// <summary>An open job in the store.</summary>
[GenerateSerializer]
internal sealed class StoredEntry
{
    /// <summary>The job's key.</summary>
    [Id(0)]
    public required string Job { get; set; }

    /// <summary>What it is.</summary>
    [Id(1)]
    public required JobTicket Ticket { get; set; }
}

/// <summary>The directory in the store.</summary>
[GenerateSerializer]
internal sealed class StoredDirectory
{
    /// <summary>The open jobs.</summary>
    [Id(0)]
    public List<StoredEntry> Jobs { get; set; } = [];
}
