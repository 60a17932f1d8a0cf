namespace TorchBridge.Scale.Grains;

/// <summary>The description of a job that the cluster has. What the items are is in the job's folder, which all
/// workers can read.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record JobTicket
{
    /// <summary>The job's folder.</summary>
    [Id(0)]
    public required string Folder { get; init; }

    /// <summary>Number of items.</summary>
    [Id(1)]
    public required int Count { get; init; }

    /// <summary>How long a lease lasts unless it is renewed.</summary>
    [Id(2)]
    public required TimeSpan LeaseDuration { get; init; }

    /// <summary>Number of failed attempts after which an item is set aside.</summary>
    [Id(3)]
    public required int MostAttempts { get; init; }

    /// <summary>The program version that workers must have: another version may give other bytes.</summary>
    [Id(4)]
    public required string Program { get; init; }

    /// <summary>How many of the first items are held back until there is a <see cref="Verdict"/> about
    /// them.</summary>
    [Id(5)]
    public int Held { get; init; }
}

/// <summary>The decision about an item that was held back.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record Verdict
{
    /// <summary>The item's index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>Whether the item may be leased now; if not, it never is.</summary>
    [Id(1)]
    public required bool IsOpened { get; init; }

    /// <summary>For an item that is never leased: why it is set aside; null if its result is published.</summary>
    [Id(2)]
    public string? Error { get; init; }
}

/// <summary>A current lease, for display: which worker has which item.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record ItemAtWork
{
    /// <summary>The item's index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>How often the item has been leased, this time included.</summary>
    [Id(1)]
    public required int Epoch { get; init; }

    /// <summary>The worker's name.</summary>
    [Id(2)]
    public required string Owner { get; init; }
}

/// <summary>A lease that a worker was granted: which item of which run of which job, and for how long.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record ItemLease
{
    /// <summary>The job's key.</summary>
    [Id(0)]
    public required string Job { get; init; }

    /// <summary>The run of the job. It tells equal epochs apart: if the lease state was lost, epochs start at 1
    /// again.</summary>
    [Id(1)]
    public required string Run { get; init; }

    /// <summary>The item's index in the job.</summary>
    [Id(2)]
    public required int Index { get; init; }

    /// <summary>How often the item has been leased, this time included.</summary>
    [Id(3)]
    public required int Epoch { get; init; }

    /// <summary>How long the lease lasts, from when it was granted or renewed.</summary>
    [Id(4)]
    public required TimeSpan Duration { get; init; }

    /// <summary>The job's folder.</summary>
    [Id(5)]
    public required string Folder { get; init; }
}

/// <summary>The answer to a worker that asks for items.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record LeaseAnswer
{
    /// <summary>The leases that the worker got.</summary>
    [Id(0)]
    public required ItemLease[] Leases { get; init; }

    /// <summary>Whether the job has ended: no item is pending, leased or held back.</summary>
    [Id(1)]
    public required bool IsFinished { get; init; }
}

/// <summary>An item that was set aside.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SetAsideItem
{
    /// <summary>The item's index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>The item's last error.</summary>
    [Id(1)]
    public required string Error { get; init; }
}

/// <summary>The progress of a job.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record JobProgress
{
    /// <summary>Number of items in the job; 0 if there is no such job.</summary>
    [Id(0)]
    public int Count { get; init; }

    /// <summary>Number of items that are done.</summary>
    [Id(1)]
    public int Done { get; init; }

    /// <summary>Number of items that are leased to workers.</summary>
    [Id(2)]
    public int Leased { get; init; }

    /// <summary>Number of items that were set aside.</summary>
    [Id(3)]
    public int SetAside { get; init; }

    /// <summary>The items that were set aside, with their errors: the first hundred.</summary>
    [Id(4)]
    public SetAsideItem[] Errors { get; init; } = [];

    /// <summary>Number of items that are held back.</summary>
    [Id(5)]
    public int Held { get; init; }

    /// <summary>Total number of failed attempts of all items so far.</summary>
    [Id(6)]
    public int FailedAttempts { get; init; }

    /// <summary>The current leases: the first hundred.</summary>
    [Id(7)]
    public ItemAtWork[] AtWork { get; init; } = [];

    /// <summary>The index of every item that was set aside. Filled only in a job that began with items held back,
    /// where the decisions about those depend on it.</summary>
    [Id(8)]
    public int[] AllSetAside { get; init; } = [];

    /// <summary>Whether nothing is left to do.</summary>
    public bool IsFinished => Count > 0 && Done + SetAside == Count;
}

/// <summary>The progress of a segment, and the leases that a call has granted.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SegmentReport
{
    /// <summary>Number of items that wait for a worker.</summary>
    [Id(0)]
    public int Pending { get; init; }

    /// <summary>Number of items that are leased to workers.</summary>
    [Id(1)]
    public int Leased { get; init; }

    /// <summary>Number of items that are done.</summary>
    [Id(2)]
    public int Done { get; init; }

    /// <summary>The items that were set aside, with their errors.</summary>
    [Id(3)]
    public SetAsideItem[] SetAside { get; init; } = [];

    /// <summary>The leases that this call has granted: index in the job, epoch.</summary>
    [Id(4)]
    public (int Index, int Epoch)[] Granted { get; init; } = [];

    /// <summary>Number of items that are held back.</summary>
    [Id(5)]
    public int Held { get; init; }

    /// <summary>Total number of failed attempts of all items so far.</summary>
    [Id(6)]
    public int FailedAttempts { get; init; }

    /// <summary>The current leases; empty in the answer to a request for items.</summary>
    [Id(7)]
    public ItemAtWork[] AtWork { get; init; } = [];

    /// <summary>Whether nothing is left to do in this segment.</summary>
    public bool IsOver => Pending + Leased + Held == 0;

    /// <summary>Whether no item was ever leased, and none is held back.</summary>
    public bool IsUntouched => Leased + Done + SetAside.Length + Held == 0;
}

/// <summary>The terms of a segment: its range of items in the job, and how they are leased.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SegmentTerms
{
    /// <summary>How many of its first items are held back.</summary>
    [Id(4)]
    public int Held { get; init; }

    /// <summary>Index of its first item in the job.</summary>
    [Id(0)]
    public required int First { get; init; }

    /// <summary>Number of its items.</summary>
    [Id(1)]
    public required int Count { get; init; }

    /// <summary>How long a lease lasts unless it is renewed.</summary>
    [Id(2)]
    public required TimeSpan LeaseDuration { get; init; }

    /// <summary>Number of failed attempts after which an item is set aside.</summary>
    [Id(3)]
    public required int MostAttempts { get; init; }
}
