namespace TorchBridge.Scale.Grains;

/// <summary>A job: knows which of its segments are finished, and passes requests for items to the others.</summary>
internal sealed class JobGrain([PersistentState("job", Segments.Store)] IPersistentState<StoredJob> stored)
    : StoredGrain<StoredJob>(stored),
        IJobGrain
{
    private const int MostShown = 100;
    private SegmentReport?[] finished = [];
    private int firstOpen;

    /// <inheritdoc/>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        Begin();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task Submit(JobTicket ticket)
    {
        if (State is { Ticket: { } running, Ended: null })
        {
            if (running != ticket)
                throw new InvalidOperationException(
                    $"The job in {ticket.Folder} is already running with other settings (leases of {running.LeaseDuration}, "
                        + $"{running.MostAttempts} attempts, program {running.Program}). Wait until it ends, or use the "
                        + "same settings."
                );
        }
        else
        {
            State = new StoredJob { Ticket = ticket, Run = $"{Guid.NewGuid():N}" };
            await Store();
            Begin();
        }

        await Directory.Add(this.GetPrimaryKeyString(), ticket);
    }

    /// <inheritdoc/>
    public async Task<LeaseAnswer> Lease(string worker, int most)
    {
        if (State is not { Ticket: { } ticket, Run: { } run, Ended: null })
            return new LeaseAnswer { Leases = [], IsFinished = true };
        var leases = new List<ItemLease>();
        var open = false;
        for (var segment = firstOpen; segment < finished.Length && leases.Count < most; segment++)
        {
            if (finished[segment] is not null)
                continue;
            var report = await Segment(segment).Lease(Segments.Terms(ticket, segment), worker, most - leases.Count);
            open |= !Note(segment, report);
            leases.AddRange(
                report.Granted.Select(granted => new ItemLease
                {
                    Job = this.GetPrimaryKeyString(),
                    Run = run,
                    Index = granted.Index,
                    Epoch = granted.Epoch,
                    Duration = ticket.LeaseDuration,
                    Folder = ticket.Folder,
                })
            );
        }

        if (!open && leases.Count == 0)
            await End();
        return new LeaseAnswer { Leases = [.. leases], IsFinished = State.Ended is not null };
    }

    /// <inheritdoc/>
    public async Task<JobProgress> Progress()
    {
        if (State.Ticket is not { } ticket)
            return new JobProgress();
        if (State.Ended is { } ended)
            return ended;
        var reports = new List<SegmentReport>();
        for (var segment = 0; segment < finished.Length; segment++)
        {
            if (finished[segment] is not { } report)
            {
                report = await Segment(segment).Report(Segments.Terms(ticket, segment));
                Note(segment, report);
                // Items are leased in order, so if nobody has touched this segment, the later ones are untouched too.
                if (report.IsUntouched)
                    break;
            }

            reports.Add(report);
        }

        var progress = Sum(ticket, reports);
        if (progress.IsFinished)
            await End();
        return progress;
    }

    /// <inheritdoc/>
    public async Task Settle(Verdict[] verdicts)
    {
        if (State is not { Ticket: { } ticket, Ended: null })
            return;
        foreach (
            var of in verdicts.Where(verdict => verdict.Index >= 0).GroupBy(verdict => verdict.Index / Segments.Size)
        )
        {
            if (of.Key < finished.Length && finished[of.Key] is null)
                await Segment(of.Key).Settle(Segments.Terms(ticket, of.Key), [.. of]);
        }
    }

    private IDirectoryGrain Directory => GrainFactory.GetGrain<IDirectoryGrain>(0);

    private ISegmentGrain Segment(int segment) =>
        GrainFactory.GetGrain<ISegmentGrain>(Segments.Key(this.GetPrimaryKeyString(), State.Run!, segment));

    private static JobProgress Sum(JobTicket ticket, IReadOnlyList<SegmentReport> reports) =>
        new()
        {
            Count = ticket.Count,
            Done = reports.Sum(report => report.Done),
            Leased = reports.Sum(report => report.Leased),
            SetAside = reports.Sum(report => report.SetAside.Length),
            Errors = [.. reports.SelectMany(report => report.SetAside).Take(MostShown)],
            Held = reports.Sum(report => report.Held),
            FailedAttempts = reports.Sum(report => report.FailedAttempts),
            AtWork = [.. reports.SelectMany(report => report.AtWork).Take(MostShown)],
            AllSetAside =
                ticket.Held > 0 ? [.. reports.SelectMany(report => report.SetAside).Select(item => item.Index)] : [],
        };

    private void Begin()
    {
        finished = State.Ticket is { } ticket ? new SegmentReport?[Segments.CountOf(ticket)] : [];
        firstOpen = 0;
    }

    /// <summary>Keeps the report of a segment that is finished, so that it is not asked again.</summary>
    /// <returns>Whether the segment is finished.</returns>
    private bool Note(int segment, SegmentReport report)
    {
        if (!report.IsOver)
            return false;
        finished[segment] = report;
        while (firstOpen < finished.Length && finished[firstOpen] is not null)
            firstOpen++;
        return true;
    }

    private async Task End()
    {
        var run = State;
        run.Ended = Sum(run.Ticket!, [.. finished.OfType<SegmentReport>()]);
        await Store();
        await Directory.Remove(this.GetPrimaryKeyString());
        for (var segment = 0; segment < finished.Length; segment++)
            await Segment(segment).Forget();
    }
}

/// <summary>A job, as it is stored.</summary>
[GenerateSerializer]
internal sealed class StoredJob
{
    /// <summary>The job's description; null if it was never submitted.</summary>
    [Id(0)]
    public JobTicket? Ticket { get; set; }

    /// <summary>Unique name of the current run.</summary>
    [Id(1)]
    public string? Run { get; set; }

    /// <summary>The final progress; null while the job is running.</summary>
    [Id(2)]
    public JobProgress? Ended { get; set; }
}
