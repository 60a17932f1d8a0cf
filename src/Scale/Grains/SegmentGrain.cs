using Microsoft.Extensions.DependencyInjection;
using TorchBridge.Scale.Leases;

namespace TorchBridge.Scale.Grains;

/// <summary>Holds a segment's lease state, and stores it at every change.</summary>
internal sealed class SegmentGrain(
    [PersistentState("segment", Segments.Store)] IPersistentState<StoredSegment> stored,
    [FromKeyedServices(LeaseClock.Key)] TimeProvider clock
) : StoredGrain<StoredSegment>(stored), ISegmentGrain
{
    private LeaseBook? book;

    /// <inheritdoc/>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        if (State is { Terms: { } terms, Book: { } saved })
            book = LeaseBook.Load(TermsOf(terms), saved, clock.GetUtcNow());
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task<SegmentReport> Lease(SegmentTerms terms, string worker, int most)
    {
        Begin(terms);
        var granted = book!.Lease(worker, most, clock.GetUtcNow());
        if (granted.Count > 0)
            await Save();
        return ReportOf() with { Granted = [.. granted.Select(lease => (terms.First + lease.Item, lease.Epoch))] };
    }

    /// <inheritdoc/>
    public async Task<SegmentReport> Report(SegmentTerms terms)
    {
        Begin(terms);
        if (book!.Expire(clock.GetUtcNow()))
            await Save();
        return ReportOf() with
        {
            AtWork =
            [
                .. book.AtWork.Select(lease => new ItemAtWork
                {
                    Index = First + lease.Item,
                    Epoch = lease.Epoch,
                    Owner = lease.Owner,
                }),
            ],
        };
    }

    /// <inheritdoc/>
    public async Task Settle(SegmentTerms terms, Verdict[] verdicts)
    {
        Begin(terms);
        var isChanged = false;
        foreach (var verdict in verdicts)
            isChanged |= verdict.IsOpened
                ? book!.Open(verdict.Index - terms.First)
                : book!.Settle(verdict.Index - terms.First, verdict.Error);
        if (isChanged)
            await Save();
    }

    /// <inheritdoc/>
    public Task<bool> Renew(int index, int epoch) =>
        // Deadlines are not stored: when the state is read again, every lease gets its whole duration.
        Task.FromResult(book?.Renew(index - First, epoch, clock.GetUtcNow()) ?? false);

    /// <inheritdoc/>
    public Task<bool> Complete(int index, int epoch) => Change((item, now) => book!.Complete(item, epoch, now), index);

    /// <inheritdoc/>
    public Task<bool> Fail(int index, int epoch, string error) =>
        Change((item, now) => book!.Fail(item, epoch, error, now), index);

    /// <inheritdoc/>
    public Task<bool> Release(int index, int epoch) => Change((item, now) => book!.Release(item, epoch, now), index);

    /// <inheritdoc/>
    public async Task Forget()
    {
        book = null;
        await Clear();
        DeactivateOnIdle();
    }

    private int First => State.Terms?.First ?? 0;

    private static LeaseTerms TermsOf(SegmentTerms terms) =>
        new(terms.Count, terms.LeaseDuration, terms.MostAttempts) { Held = terms.Held };

    private void Begin(SegmentTerms terms)
    {
        if (book is not null)
            return;
        book = new LeaseBook(TermsOf(terms));
        State.Terms = terms;
    }

    private async Task<bool> Change(Func<int, DateTimeOffset, bool> change, int index)
    {
        if (book is null)
            return false; // the job has ended, or this run of it was lost
        if (!change(index - First, clock.GetUtcNow()))
            return false;
        await Save();
        return true;
    }

    private Task Save()
    {
        State.Book = book!.Save();
        return Store();
    }

    private SegmentReport ReportOf()
    {
        var counts = book!.Counts;
        return new SegmentReport
        {
            Pending = counts.Pending,
            Leased = counts.Leased,
            Done = counts.Done,
            Held = counts.Held,
            FailedAttempts = book.FailedAttempts,
            SetAside =
            [
                .. book.SetAside.Select(pair => new SetAsideItem { Index = First + pair.Key, Error = pair.Value }),
            ],
        };
    }
}

/// <summary>A segment, as it is stored.</summary>
[GenerateSerializer]
internal sealed class StoredSegment
{
    /// <summary>The segment's terms.</summary>
    [Id(0)]
    public SegmentTerms? Terms { get; set; }

    /// <summary>Its lease state, as <see cref="LeaseBook.Save"/> returns it.</summary>
    [Id(1)]
    public byte[]? Book { get; set; }
}

/// <summary>The clock by which leases expire.</summary>
internal static class LeaseClock
{
    /// <summary>Key of the service. It is a keyed service so that Orleans' own timers keep the system's
    /// clock.</summary>
    public const string Key = "leases";
}
