// The books of some items, without time of its own: every call says what time it is. An item is
//   held      nobody may be at it yet: whether it is done at all depends on the results of others
//   pending   nobody is at it
//   leased    a worker is at it, until a deadline; the lease has an epoch, higher than any that the item had before
//   done      its result is published
//   set aside it failed as often as is allowed
// A lease whose deadline has passed is void from that moment, whether somebody has noticed or not: its item is pending
// again, with one more failed attempt, and what its holder says (renew, complete, fail) is refused. Refusing costs
// nothing: a result that a late worker has published is found by the next one.
using System.Runtime.InteropServices;
using System.Text;

namespace TorchBridge.Scale.Leases;

/// <summary>Who is at which item until when, what is done, and what was set aside.</summary>
internal sealed class LeaseBook
{
    private const byte Version = 1;
    private const int LongestError = 500;
    private readonly LeaseTerms terms;
    private readonly ItemState[] states;
    private readonly int[] epochs;
    private readonly byte[] attempts;
    private readonly Dictionary<int, Holding> holdings = [];
    private readonly SortedDictionary<int, string> errors = [];
    private int firstPending;
    private int done;
    private int held;

    /// <summary>An empty book: every item is pending, or held back.</summary>
    public LeaseBook(LeaseTerms terms)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(terms.Count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(terms.MostAttempts, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(terms.MostAttempts, LeaseTerms.AttemptLimit);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(terms.Duration, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegative(terms.Held);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(terms.Held, terms.Count);
        this.terms = terms;
        (states, epochs, attempts) = (new ItemState[terms.Count], new int[terms.Count], new byte[terms.Count]);
        held = terms.Held;
        states.AsSpan(0, held).Fill(ItemState.Held);
    }

    /// <summary>How many items are in which state.</summary>
    public BookCounts Counts =>
        new(terms.Count - done - holdings.Count - errors.Count - held, holdings.Count, done, errors.Count, held);

    /// <summary>Failed attempts of all items.</summary>
    public int FailedAttempts => attempts.Sum(count => count);

    /// <summary>Who is at what, the lowest item first.</summary>
    public IEnumerable<HeldLease> AtWork =>
        holdings.OrderBy(pair => pair.Key).Select(pair => new HeldLease(pair.Key, epochs[pair.Key], pair.Value.Owner));

    /// <summary>What was set aside, with its last error.</summary>
    public IReadOnlyDictionary<int, string> SetAside => errors;

    /// <summary>When the next lease runs out; null where there is none.</summary>
    public DateTimeOffset? NextDeadline =>
        holdings.Count == 0 ? null : holdings.Values.Min(holding => holding.Deadline);

    /// <summary>Failed attempts of an item.</summary>
    public int AttemptsOf(int item) => attempts[item];

    /// <summary>Gives pending items to a worker, the lowest first.</summary>
    /// <param name="worker">Its name, for people.</param>
    /// <param name="most">How many it can take.</param>
    /// <param name="now">The time.</param>
    public IReadOnlyList<GrantedLease> Lease(string worker, int most, DateTimeOffset now)
    {
        Expire(now);
        var granted = new List<GrantedLease>();
        for (; firstPending < states.Length && granted.Count < most; firstPending++)
        {
            if (states[firstPending] != ItemState.Pending)
                continue;
            var holding = new Holding(worker, now + terms.Duration);
            states[firstPending] = ItemState.Leased;
            holdings.Add(firstPending, holding);
            granted.Add(new GrantedLease(firstPending, ++epochs[firstPending], holding.Deadline));
        }

        return granted;
    }

    /// <summary>Moves a lease's deadline; false where the lease is void.</summary>
    public bool Renew(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        holdings[item] = holdings[item] with { Deadline = now + terms.Duration };
        return true;
    }

    /// <summary>An item's result is published; false where the lease is void: then it counts for nothing.</summary>
    public bool Complete(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        // Said twice, because the first answer was lost: it was true, and is.
        if (IsKnown(item) && states[item] == ItemState.Done && epochs[item] == epoch)
            return true;
        if (!IsHeld(item, epoch))
            return false;
        holdings.Remove(item);
        states[item] = ItemState.Done;
        done++;
        return true;
    }

    /// <summary>An item failed; false where the lease is void.</summary>
    /// <param name="item">The item.</param>
    /// <param name="epoch">The lease's.</param>
    /// <param name="error">What happened.</param>
    /// <param name="now">The time.</param>
    public bool Fail(int item, int epoch, string error, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        CountFailure(item, error);
        return true;
    }

    /// <summary>An item that was held back may be given out; false where it was not held.</summary>
    public bool Open(int item)
    {
        if (!IsKnown(item) || states[item] != ItemState.Held)
            return false;
        held--;
        MakePending(item);
        return true;
    }

    /// <summary>An item that was held back will never be given out: its result is published without work, or it was
    /// set aside. False where it was not held.</summary>
    /// <param name="item">The item.</param>
    /// <param name="error">Why it was set aside; null where its result is published.</param>
    public bool Settle(int item, string? error)
    {
        if (!IsKnown(item) || states[item] != ItemState.Held)
            return false;
        held--;
        if (error is null)
        {
            states[item] = ItemState.Done;
            done++;
        }
        else
        {
            SetItemAside(item, error);
        }

        return true;
    }

    /// <summary>A worker that stops in peace gives an item back: no attempt is counted. False where the lease is
    /// void.</summary>
    public bool Release(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        holdings.Remove(item);
        MakePending(item);
        return true;
    }

    /// <summary>Takes back what has run out.</summary>
    /// <returns>Whether anything has.</returns>
    public bool Expire(DateTimeOffset now)
    {
        var late = holdings.Where(pair => pair.Value.Deadline <= now).ToArray();
        foreach (var (item, holding) in late)
            CountFailure(
                item,
                $"the worker {holding.Owner} was not heard of until the lease ran out: it, its machine or its network "
                    + "has stopped"
            );
        return late.Length > 0;
    }

    /// <summary>The book as bytes: about three an item.</summary>
    public byte[] Save()
    {
        using var stream = new MemoryStream();
        using (var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(Version);
            writer.Write7BitEncodedInt(states.Length);
            writer.Write(MemoryMarshal.AsBytes(states.AsSpan()));
            writer.Write(attempts);
            foreach (var epoch in epochs)
                writer.Write7BitEncodedInt(epoch);
            writer.Write7BitEncodedInt(holdings.Count);
            foreach (var (item, holding) in holdings)
            {
                writer.Write7BitEncodedInt(item);
                writer.Write(holding.Owner);
            }

            writer.Write7BitEncodedInt(errors.Count);
            foreach (var (item, error) in errors)
            {
                writer.Write7BitEncodedInt(item);
                writer.Write(error);
            }
        }

        return stream.ToArray();
    }

    /// <summary>Reads a book. While it was in the store nobody could renew, so every lease gets its whole time
    /// anew.</summary>
    /// <exception cref="InvalidDataException">The bytes are no book of these terms.</exception>
    public static LeaseBook Load(LeaseTerms terms, byte[] saved, DateTimeOffset now)
    {
        var book = new LeaseBook(terms);
        try
        {
            using var reader = new BinaryReader(new MemoryStream(saved), Encoding.UTF8);
            if (reader.ReadByte() != Version || reader.Read7BitEncodedInt() != terms.Count)
                throw new InvalidDataException("the stored book is of another version or another size");
            reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(book.states.AsSpan()));
            reader.BaseStream.ReadExactly(book.attempts);
            for (var item = 0; item < terms.Count; item++)
                book.epochs[item] = reader.Read7BitEncodedInt();
            for (var left = reader.Read7BitEncodedInt(); left > 0; left--)
                book.holdings.Add(reader.Read7BitEncodedInt(), new Holding(reader.ReadString(), now + terms.Duration));
            for (var left = reader.Read7BitEncodedInt(); left > 0; left--)
                book.errors.Add(reader.Read7BitEncodedInt(), reader.ReadString());
        }
        catch (Exception error) when (error is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new InvalidDataException("the stored book is damaged", error);
        }

        book.done = book.states.Count(state => state == ItemState.Done);
        book.held = book.states.Count(state => state == ItemState.Held);
        if (
            book.holdings.Keys.Any(item => !book.IsKnown(item) || book.states[item] != ItemState.Leased)
            || book.errors.Keys.Any(item => !book.IsKnown(item) || book.states[item] != ItemState.SetAside)
            || book.states.Count(state => state == ItemState.Leased) != book.holdings.Count
            || book.states.Count(state => state == ItemState.SetAside) != book.errors.Count
            || book.states.Any(state => state > ItemState.Held)
        )
            throw new InvalidDataException("the stored book contradicts itself");
        return book;
    }

    private bool IsKnown(int item) => item >= 0 && item < states.Length;

    private bool IsHeld(int item, int epoch) =>
        IsKnown(item) && states[item] == ItemState.Leased && epochs[item] == epoch;

    private void CountFailure(int item, string error)
    {
        holdings.Remove(item);
        if (++attempts[item] < terms.MostAttempts)
        {
            MakePending(item);
            return;
        }

        SetItemAside(item, error);
    }

    private void SetItemAside(int item, string error)
    {
        states[item] = ItemState.SetAside;
        errors[item] = error.Length > LongestError ? $"{error[..LongestError]}…" : error;
    }

    private void MakePending(int item)
    {
        states[item] = ItemState.Pending;
        firstPending = Math.Min(firstPending, item);
    }

    private enum ItemState : byte
    {
        Pending,
        Leased,
        Done,
        SetAside,
        Held,
    }

    private sealed record Holding(string Owner, DateTimeOffset Deadline);
}
