namespace TorchBridge.Scale.Grains;

/// <summary>The book of some hundred items in a row. Its state is written at every change, so it is small; workers
/// speak to it directly, so no grain sees every item.</summary>
[Alias("torchbridge.segment")]
internal interface ISegmentGrain : IGrainWithStringKey
{
    /// <summary>Gives items out, where the segment has any.</summary>
    [Alias("lease")]
    Task<SegmentReport> Lease(SegmentTerms terms, string worker, int most);

    /// <summary>How far the segment is; takes back what has run out.</summary>
    [Alias("report")]
    Task<SegmentReport> Report(SegmentTerms terms);

    /// <summary>Moves a lease's deadline; false where the lease is void.</summary>
    [Alias("renew")]
    Task<bool> Renew(int index, int epoch);

    /// <summary>An item's result is published; false where the lease is void.</summary>
    [Alias("complete")]
    Task<bool> Complete(int index, int epoch);

    /// <summary>An item failed; false where the lease is void.</summary>
    [Alias("fail")]
    Task<bool> Fail(int index, int epoch, string error);

    /// <summary>An item is given back; false where the lease is void.</summary>
    [Alias("release")]
    Task<bool> Release(int index, int epoch);

    /// <summary>Says what becomes of items that were held back; those of them that are not are left as they
    /// are.</summary>
    [Alias("settle")]
    Task Settle(SegmentTerms terms, Verdict[] verdicts);

    /// <summary>Removes the stored book: the job is over.</summary>
    [Alias("forget")]
    Task Forget();
}
