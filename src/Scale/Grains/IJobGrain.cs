namespace TorchBridge.Scale.Grains;

/// <summary>A job's door: hands leases out, and knows when all is done.</summary>
[Alias("torchbridge.job")]
internal interface IJobGrain : IGrainWithStringKey
{
    /// <summary>Begins a job. One that runs is joined; one that is over is begun anew (what is published is found by
    /// its receipts, so nothing is repeated).</summary>
    [Alias("submit")]
    Task Submit(JobTicket ticket);

    /// <summary>Gives a worker items.</summary>
    /// <param name="worker">Its name.</param>
    /// <param name="most">How many it can take.</param>
    [Alias("lease")]
    Task<LeaseAnswer> Lease(string worker, int most);

    /// <summary>Says what becomes of items that were held back; saying it twice is saying it once.</summary>
    [Alias("settle")]
    Task Settle(Verdict[] verdicts);

    /// <summary>How far the job is.</summary>
    [Alias("progress")]
    Task<JobProgress> Progress();
}
