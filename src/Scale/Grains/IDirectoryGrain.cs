namespace TorchBridge.Scale.Grains;

/// <summary>The list of open jobs, from which workers choose. There is one directory per cluster, with the key
/// 0.</summary>
[Alias("torchbridge.directory")]
internal interface IDirectoryGrain : IGrainWithIntegerKey
{
    /// <summary>Keys and descriptions of the open jobs, in the order in which they were submitted.</summary>
    [Alias("jobs")]
    Task<(string Job, JobTicket Ticket)[]> Jobs();

    /// <summary>Adds a job, if it is not in the list.</summary>
    [Alias("add")]
    Task Add(string job, JobTicket ticket);

    /// <summary>Removes a job that has ended.</summary>
    [Alias("remove")]
    Task Remove(string job);
}
