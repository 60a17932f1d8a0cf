namespace TorchBridge.Scale.Grains;

/// <summary>The jobs that have work; there is one directory, with the key 0.</summary>
[Alias("torchbridge.directory")]
internal interface IDirectoryGrain : IGrainWithIntegerKey
{
    /// <summary>Keys of the open jobs, in the order in which they were submitted, with what they are.</summary>
    [Alias("jobs")]
    Task<(string Job, JobTicket Ticket)[]> Jobs();

    /// <summary>A job has work.</summary>
    [Alias("add")]
    Task Add(string job, JobTicket ticket);

    /// <summary>A job is over.</summary>
    [Alias("remove")]
    Task Remove(string job);
}
