namespace TorchBridge.Scale.Grains;

/// <summary>The lease state of a few hundred consecutive items of a job. The whole state is stored at every change,
/// so it is small; workers call it directly, so no single grain has to handle every item.</summary>
[Alias("torchbridge.segment")]
internal interface ISegmentGrain : IGrainWithStringKey
{
    /// <summary>Leases pending items to a worker, as far as there are any.</summary>
    [Alias("lease")]
    Task<SegmentReport> Lease(SegmentTerms terms, string worker, int most);

    /// <summary>The segment's progress; takes back items whose leases have expired.</summary>
    [Alias("report")]
    Task<SegmentReport> Report(SegmentTerms terms);

    /// <summary>Extends a lease; false if the lease is void.</summary>
    [Alias("renew")]
    Task<bool> Renew(int index, int epoch);

    /// <summary>Marks an item as done because its result is published; false if the lease is void.</summary>
    [Alias("complete")]
    Task<bool> Complete(int index, int epoch);

    /// <summary>Counts a failed attempt of an item; false if the lease is void.</summary>
    [Alias("fail")]
    Task<bool> Fail(int index, int epoch, string error);

    /// <summary>Takes an item back without counting an attempt; false if the lease is void.</summary>
    [Alias("release")]
    Task<bool> Release(int index, int epoch);

    /// <summary>Decides about items that were held back; items that are not held back stay as they are.</summary>
    [Alias("settle")]
    Task Settle(SegmentTerms terms, Verdict[] verdicts);

    /// <summary>Removes the stored state, because the job has ended.</summary>
    [Alias("forget")]
    Task Forget();
}
