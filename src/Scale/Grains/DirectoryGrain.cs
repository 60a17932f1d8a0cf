namespace TorchBridge.Scale.Grains;

/// <summary>The list of open jobs.</summary>
internal sealed class DirectoryGrain(
    [PersistentState("directory", Segments.Store)] IPersistentState<StoredDirectory> stored
) : StoredGrain<StoredDirectory>(stored), IDirectoryGrain
{
    /// <inheritdoc/>
    public Task<(string Job, JobTicket Ticket)[]> Jobs() =>
        Task.FromResult<(string, JobTicket)[]>([.. State.Jobs.Select(entry => (entry.Job, entry.Ticket))]);

    /// <inheritdoc/>
    public async Task Add(string job, JobTicket ticket)
    {
        if (State.Jobs.Exists(entry => entry.Job == job))
            return;
        State.Jobs.Add(new StoredEntry { Job = job, Ticket = ticket });
        await Store();
    }

    /// <inheritdoc/>
    public async Task Remove(string job)
    {
        if (State.Jobs.RemoveAll(entry => entry.Job == job) > 0)
            await Store();
    }
}

/// <summary>An open job, as it is stored.</summary>
[GenerateSerializer]
internal sealed class StoredEntry
{
    /// <summary>The job's key.</summary>
    [Id(0)]
    public required string Job { get; set; }

    /// <summary>The job's description.</summary>
    [Id(1)]
    public required JobTicket Ticket { get; set; }
}

/// <summary>The list of open jobs, as it is stored.</summary>
[GenerateSerializer]
internal sealed class StoredDirectory
{
    /// <summary>The open jobs.</summary>
    [Id(0)]
    public List<StoredEntry> Jobs { get; set; } = [];
}
