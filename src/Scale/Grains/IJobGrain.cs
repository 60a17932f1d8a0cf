namespace TorchBridge.Scale.Grains;

/// <summary>The entry point of a job: grants leases, and knows when the job has ended.</summary>
[Alias("torchbridge.job")]
internal interface IJobGrain : IGrainWithStringKey
{
    /// <summary>Starts a job. If the job is running, the call joins it; if it has ended, it is started again, which
    /// repeats nothing: published results are found by their receipts.</summary>
    [Alias("submit")]
    Task Submit(JobTicket ticket);

    /// <summary>Leases items to a worker.</summary>
    /// <param name="worker">The worker's name.</param>
    /// <param name="most">The most items that it can take.</param>
    [Alias("lease")]
    Task<LeaseAnswer> Lease(string worker, int most);

    /// <summary>Decides about items that were held back. A decision that is sent twice counts once.</summary>
    [Alias("settle")]
    Task Settle(Verdict[] verdicts);

    /// <summary>The job's progress.</summary>
    [Alias("progress")]
    Task<JobProgress> Progress();
}
