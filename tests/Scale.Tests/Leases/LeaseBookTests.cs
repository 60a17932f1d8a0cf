using TorchBridge.Scale.Leases;

namespace TorchBridge.Scale.Tests.Leases;

public class LeaseBookTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly LeaseTerms Terms = new(4, TimeSpan.FromMinutes(1), 3);

    [Fact]
    public void Items_are_given_out_in_order_and_each_once()
    {
        var book = new LeaseBook(Terms);
        Assert.Equal([0, 1], book.Lease("a", 2, Start).Select(lease => lease.Item));
        Assert.Equal([2, 3], book.Lease("b", 9, Start).Select(lease => lease.Item));
        Assert.Empty(book.Lease("c", 1, Start));
        Assert.Equal(new BookCounts(0, 4, 0, 0, 0), book.Counts);
        Assert.Equal(Start + Terms.Duration, book.NextDeadline);
    }

    [Fact]
    public void A_lease_is_void_at_its_deadline_and_comes_back_with_a_higher_epoch()
    {
        var book = new LeaseBook(Terms);
        var late = book.Lease("a", 1, Start)[0];
        var deadline = Start + Terms.Duration;
        Assert.True(book.Renew(late.Item, late.Epoch, deadline - TimeSpan.FromTicks(1)));
        // A clock that was set back moves the deadline back by as much.
        Assert.True(book.Renew(late.Item, late.Epoch, Start));
        // No other call was made: the deadline alone makes the lease void.
        Assert.False(book.Complete(late.Item, late.Epoch, deadline));
        Assert.False(book.Renew(late.Item, late.Epoch, deadline));
        var next = book.Lease("b", 1, deadline)[0];
        Assert.Equal((late.Item, late.Epoch + 1), (next.Item, next.Epoch));
        Assert.Equal(1, book.AttemptsOf(next.Item));
        foreach (var epoch in (int[])[late.Epoch, next.Epoch + 1, 0, -1])
        {
            Assert.False(book.Complete(next.Item, epoch, deadline));
            Assert.False(book.Fail(next.Item, epoch, "late", deadline));
            Assert.False(book.Release(next.Item, epoch, deadline));
        }

        Assert.True(book.Complete(next.Item, next.Epoch, deadline));
        Assert.True(book.Complete(next.Item, next.Epoch, deadline)); // the answer was lost, so the call is repeated
        Assert.False(book.Complete(next.Item, late.Epoch, deadline));
        Assert.False(book.Fail(next.Item, next.Epoch, "after all", deadline));
        Assert.Equal(new BookCounts(3, 0, 1, 0, 0), book.Counts);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4)]
    [InlineData(int.MaxValue)]
    public void What_is_no_item_is_refused(int item)
    {
        var book = new LeaseBook(Terms);
        Assert.False(book.Renew(item, 1, Start));
        Assert.False(book.Complete(item, 1, Start));
        Assert.False(book.Fail(item, 1, "", Start));
    }

    [Fact]
    public void An_item_is_set_aside_after_the_stated_attempts_however_they_failed()
    {
        var book = new LeaseBook(Terms);
        var now = Start;
        for (var attempt = 1; attempt <= Terms.MostAttempts; attempt++)
        {
            var lease = book.Lease("a", 1, now)[0];
            Assert.Equal((0, attempt), (lease.Item, lease.Epoch));
            if (attempt == 2)
                now += Terms.Duration;
            else
                Assert.True(book.Fail(0, lease.Epoch, $"error {attempt}", now));
        }

        Assert.Equal("error 3", Assert.Single(book.SetAside).Value);
        Assert.Equal(new BookCounts(3, 0, 0, 1, 0), book.Counts);
        Assert.Equal(1, book.Lease("a", 1, now)[0].Item);
        Assert.False(book.Complete(0, 3, now));
    }

    [Fact]
    public void What_is_given_back_costs_no_attempt()
    {
        var book = new LeaseBook(Terms);
        for (var turn = 1; turn <= 10; turn++)
        {
            var lease = book.Lease("a", 1, Start)[0];
            Assert.Equal((0, turn), (lease.Item, lease.Epoch));
            Assert.True(book.Release(0, lease.Epoch, Start));
        }

        Assert.Equal(0, book.AttemptsOf(0));
    }

    [Fact]
    public void A_book_comes_back_from_its_bytes_and_leases_get_their_whole_time()
    {
        var book = new LeaseBook(Terms);
        var leases = book.Lease("a", 4, Start);
        book.Complete(0, 1, Start);
        book.Fail(1, 1, "broke", Start);
        for (var attempt = 0; attempt < 3; attempt++)
        {
            book.Fail(2, attempt + 1, new string('x', 2000), Start);
            if (attempt < 2)
                Assert.Equal([1, 2], book.Lease("a", 2, Start).Select(lease => lease.Item));
            book.Release(1, attempt + 2, Start);
        }

        var muchLater = Start + TimeSpan.FromDays(1);
        var read = LeaseBook.Load(Terms, book.Save(), muchLater);
        Assert.Equal(book.Counts, read.Counts);
        Assert.Equal(book.SetAside, read.SetAside);
        Assert.InRange(read.SetAside[2].Length, 500, 510);
        Assert.Equal(1, read.AttemptsOf(1));
        Assert.Equal(muchLater + Terms.Duration, read.NextDeadline);
        Assert.True(read.Complete(3, leases[3].Epoch, muchLater));
        Assert.Equal(4, read.Lease("b", 1, muchLater)[0].Epoch);
        Assert.Equal(book.Save(), LeaseBook.Load(Terms, book.Save(), Start).Save());
    }

    [Fact]
    public void Damaged_bytes_are_refused()
    {
        var book = new LeaseBook(Terms);
        book.Lease("a", 2, Start);
        book.Fail(0, 1, "broke", Start);
        var saved = book.Save();
        for (var length = 0; length < saved.Length; length++)
            Assert.Throws<InvalidDataException>(() => LeaseBook.Load(Terms, saved[..length], Start));
        Assert.Throws<InvalidDataException>(() => LeaseBook.Load(Terms with { Count = 5 }, saved, Start));
        saved[2] = 9;
        Assert.Throws<InvalidDataException>(() => LeaseBook.Load(Terms, saved, Start));
    }

    [Fact]
    public void What_is_held_back_is_given_out_once_it_is_opened_and_never_once_it_is_settled()
    {
        var terms = Terms with { Held = 3 };
        var book = new LeaseBook(terms);
        Assert.Equal(new BookCounts(1, 0, 0, 0, 3), book.Counts);
        Assert.Equal([3], book.Lease("a", 9, Start).Select(lease => lease.Item));
        Assert.False(book.Complete(0, 0, Start)); // the item is not leased
        Assert.True(book.Open(1));
        Assert.True(book.Settle(0, null));
        Assert.True(book.Settle(2, "not worth it"));
        foreach (var item in (int[])[0, 1, 2, 3, -1, 4])
        {
            Assert.False(book.Open(item));
            Assert.False(book.Settle(item, null));
            Assert.False(book.Settle(item, "again"));
        }

        Assert.Equal(new BookCounts(1, 1, 1, 1, 0), book.Counts);
        Assert.Equal("not worth it", Assert.Single(book.SetAside).Value);
        book = LeaseBook.Load(terms, book.Save(), Start);
        Assert.Equal(new BookCounts(1, 1, 1, 1, 0), book.Counts);
        Assert.Equal([1], book.Lease("b", 9, Start).Select(lease => lease.Item));
        Assert.Equal([new HeldLease(1, 1, "b"), new HeldLease(3, 1, "a")], book.AtWork);

        // An item that is held back in the store is held back after reading.
        book = LeaseBook.Load(terms, new LeaseBook(terms).Save(), Start);
        Assert.Equal(new BookCounts(1, 0, 0, 0, 3), book.Counts);
        Assert.True(book.Open(0));
        Assert.Equal([0, 3], book.Lease("a", 9, Start).Select(lease => lease.Item));
    }

    [Fact]
    public void Failed_attempts_are_counted_over_all_items()
    {
        var book = new LeaseBook(Terms);
        book.Lease("a", 2, Start);
        book.Fail(0, 1, "broke", Start);
        Assert.True(book.Expire(Start + Terms.Duration));
        Assert.Equal(2, book.FailedAttempts);
    }

    /// <summary>Many workers and random orders of events: every item ends as done or set aside, and no two workers
    /// had the same lease.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Any_order_of_events_ends_with_every_item_once(int seed)
    {
        var random = new Random(seed);
        var terms = new LeaseTerms(200, TimeSpan.FromSeconds(60), 4);
        var book = new LeaseBook(terms);
        var held = new List<(GrantedLease Lease, int Worker)>();
        var completed = new HashSet<int>();
        var now = Start;
        for (var step = 0; book.Counts is not { Pending: 0, Leased: 0 }; step++)
        {
            Assert.InRange(step, 0, 100_000);
            now += TimeSpan.FromSeconds(random.Next(5));
            if (random.Next(3) == 0)
                held.AddRange(book.Lease("w", random.Next(1, 5), now).Select(lease => (lease, step)));
            if (held.Count == 0)
                continue;
            var at = random.Next(held.Count);
            var (lease, _) = held[at];
            switch (random.Next(5))
            {
                case 0:
                    book.Fail(lease.Item, lease.Epoch, "e", now);
                    break;
                case 1:
                    book.Release(lease.Item, lease.Epoch, now);
                    break;
                case 2:
                    continue; // the worker is gone or paused; it may report after its lease has expired
                default:
                    if (book.Complete(lease.Item, lease.Epoch, now) && !completed.Add(lease.Item))
                        Assert.Fail($"item {lease.Item} was completed twice");
                    break;
            }

            held.RemoveAt(at);
            if (random.Next(10) == 0)
                book = LeaseBook.Load(terms, book.Save(), now);
        }

        Assert.Equal(terms.Count, book.Counts.Done + book.Counts.SetAside);
        Assert.Equal(completed.Count, book.Counts.Done);
        Assert.NotEqual(0, book.Counts.SetAside); // otherwise the schedule would not test what it should
    }
}
