namespace TorchBridge.Scale.Grains;

/// <summary>A job as the cluster knows it. What its items are stands in its folder, which all workers see.</summary>
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

    /// <summary>How long a lease lasts where it is not renewed.</summary>
    [Id(2)]
    public required TimeSpan LeaseDuration { get; init; }

    /// <summary>Failed attempts after which an item is set aside.</summary>
    [Id(3)]
    public required int MostAttempts { get; init; }

    /// <summary>The program that must do it: another version may give other bytes.</summary>
    [Id(4)]
    public required string Program { get; init; }

    /// <summary>The first so many items are held back until somebody says what becomes of them.</summary>
    [Id(5)]
    public int Held { get; init; }
}

/// <summary>What becomes of an item that was held back.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record Verdict
{
    /// <summary>The item's index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>Whether it is given out now; else it never is.</summary>
    [Id(1)]
    public required bool IsOpened { get; init; }

    /// <summary>Of an item that is never given out: why it was set aside; null where its result is published.</summary>
    [Id(2)]
    public string? Error { get; init; }
}

/// <summary>Who is at what.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record ItemAtWork
{
    /// <summary>The item's index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>How often the item has been given out.</summary>
    [Id(1)]
    public required int Epoch { get; init; }

    /// <summary>The worker's name.</summary>
    [Id(2)]
    public required string Owner { get; init; }
}

/// <summary>A lease: which item of which run of a job, until when.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record ItemLease
{
    /// <summary>The job's key.</summary>
    [Id(0)]
    public required string Job { get; init; }

    /// <summary>The run of the job: a book that was lost and begun anew counts its epochs from 1 again.</summary>
    [Id(1)]
    public required string Run { get; init; }

    /// <summary>The item's index in the job.</summary>
    [Id(2)]
    public required int Index { get; init; }

    /// <summary>How often the item has been given out.</summary>
    [Id(3)]
    public required int Epoch { get; init; }

    /// <summary>How long it lasts from when it was given.</summary>
    [Id(4)]
    public required TimeSpan Duration { get; init; }

    /// <summary>The job's folder.</summary>
    [Id(5)]
    public required string Folder { get; init; }
}

/// <summary>An answer to a worker that asks for work.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record LeaseAnswer
{
    /// <summary>What it got.</summary>
    [Id(0)]
    public required ItemLease[] Leases { get; init; }

    /// <summary>Whether the job is over: nothing is pending and nobody is at anything.</summary>
    [Id(1)]
    public required bool IsFinished { get; init; }
}

/// <summary>An item that was set aside.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SetAsideItem
{
    /// <summary>Its index in the job.</summary>
    [Id(0)]
    public required int Index { get; init; }

    /// <summary>Its last error.</summary>
    [Id(1)]
    public required string Error { get; init; }
}

/// <summary>How far a job is.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record JobProgress
{
    /// <summary>Items in all; 0 where there is no such job.</summary>
    [Id(0)]
    public int Count { get; init; }

    /// <summary>Items that are done.</summary>
    [Id(1)]
    public int Done { get; init; }

    /// <summary>Items that somebody is at.</summary>
    [Id(2)]
    public int Leased { get; init; }

    /// <summary>Items that were set aside.</summary>
    [Id(3)]
    public int SetAside { get; init; }

    /// <summary>The first hundred of those.</summary>
    [Id(4)]
    public SetAsideItem[] Errors { get; init; } = [];

    /// <summary>Items that are held back.</summary>
    [Id(5)]
    public int Held { get; init; }

    /// <summary>Failed attempts so far, of all items.</summary>
    [Id(6)]
    public int FailedAttempts { get; init; }

    /// <summary>Who is at what: the first hundred.</summary>
    [Id(7)]
    public ItemAtWork[] AtWork { get; init; } = [];

    /// <summary>In a job that began with items held back, which are decided by it: every item that was set
    /// aside.</summary>
    [Id(8)]
    public int[] AllSetAside { get; init; } = [];

    /// <summary>Whether nothing is left to do.</summary>
    public bool IsFinished => Count > 0 && Done + SetAside == Count;
}

/// <summary>A segment's counts.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SegmentReport
{
    /// <summary>Items that nobody is at.</summary>
    [Id(0)]
    public int Pending { get; init; }

    /// <summary>Items that somebody is at.</summary>
    [Id(1)]
    public int Leased { get; init; }

    /// <summary>Items that are done.</summary>
    [Id(2)]
    public int Done { get; init; }

    /// <summary>What was set aside: index in the job, error.</summary>
    [Id(3)]
    public SetAsideItem[] SetAside { get; init; } = [];

    /// <summary>What was leased by this call: index in the job, epoch.</summary>
    [Id(4)]
    public (int Index, int Epoch)[] Granted { get; init; } = [];

    /// <summary>Items that are held back.</summary>
    [Id(5)]
    public int Held { get; init; }

    /// <summary>Failed attempts so far, of all items.</summary>
    [Id(6)]
    public int FailedAttempts { get; init; }

    /// <summary>Who is at what; empty where work was asked for.</summary>
    [Id(7)]
    public ItemAtWork[] AtWork { get; init; } = [];

    /// <summary>Whether nothing is left to do.</summary>
    public bool IsOver => Pending + Leased + Held == 0;

    /// <summary>Whether nobody has been there yet, and nothing is held back.</summary>
    public bool IsUntouched => Leased + Done + SetAside.Length + Held == 0;
}

/// <summary>What a segment of a job is.</summary>
[GenerateSerializer]
[Immutable]
internal sealed record SegmentTerms
{
    /// <summary>The first so many of its items are held back.</summary>
    [Id(4)]
    public int Held { get; init; }

    /// <summary>Index of its first item in the job.</summary>
    [Id(0)]
    public required int First { get; init; }

    /// <summary>Its items.</summary>
    [Id(1)]
    public required int Count { get; init; }

    /// <summary>How long a lease lasts.</summary>
    [Id(2)]
    public required TimeSpan LeaseDuration { get; init; }

    /// <summary>Failed attempts after which an item is set aside.</summary>
    [Id(3)]
    public required int MostAttempts { get; init; }
}
