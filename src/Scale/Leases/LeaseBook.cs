// The lease state of a range of items. It has no clock: the caller passes the time to every call. An item is
//   held       not available yet: the results of other items decide whether it is processed at all
//   pending    available; no worker has it
//   leased     a worker has it until a deadline; the lease has an epoch, higher than any earlier epoch of the item
//   done       its result is published
//   set aside  it has failed as often as is allowed
// A lease is void from the moment its deadline passes, even if nobody has noticed: its item is pending again, with
// one more failed attempt, and calls of its holder (renew, complete, fail) return false. No work is lost by that: if
// a late worker has published a result, the next worker finds it.
using System.Runtime.InteropServices;
using System.Text;

namespace TorchBridge.Scale.Leases;

/// <summary>The lease state of a range of items: which worker has which item until when, which items are done, and
/// which were set aside.</summary>
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

    /// <summary>The state at the start of a job: every item is pending or held back.</summary>
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

    /// <summary>Number of items in each state.</summary>
    public BookCounts Counts =>
        new(terms.Count - done - holdings.Count - errors.Count - held, holdings.Count, done, errors.Count, held);

    /// <summary>Total number of failed attempts of all items.</summary>
    public int FailedAttempts => attempts.Sum(count => count);

    /// <summary>The current leases, ordered by item.</summary>
    public IEnumerable<HeldLease> AtWork =>
        holdings.OrderBy(pair => pair.Key).Select(pair => new HeldLease(pair.Key, epochs[pair.Key], pair.Value.Owner));

    /// <summary>The items that were set aside, each with its last error.</summary>
    public IReadOnlyDictionary<int, string> SetAside => errors;

    /// <summary>When the next lease expires; null where there is none.</summary>
    public DateTimeOffset? NextDeadline =>
        holdings.Count == 0 ? null : holdings.Values.Min(holding => holding.Deadline);

    /// <summary>Number of failed attempts of an item.</summary>
    public int AttemptsOf(int item) => attempts[item];

    /// <summary>Leases pending items to a worker, the lowest index first.</summary>
    /// <param name="worker">The worker's name, for messages.</param>
    /// <param name="most">The most items that it can take.</param>
    /// <param name="now">The current time.</param>
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

    /// <summary>Extends a lease by its whole duration; false if the lease is void.</summary>
    public bool Renew(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        holdings[item] = holdings[item] with { Deadline = now + terms.Duration };
        return true;
    }

    /// <summary>Marks an item as done because its result is published; false, without effect, if the lease is
    /// void.</summary>
    public bool Complete(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        // The same call again, because its first answer was lost: the answer is the same.
        if (IsKnown(item) && states[item] == ItemState.Done && epochs[item] == epoch)
            return true;
        if (!IsHeld(item, epoch))
            return false;
        holdings.Remove(item);
        states[item] = ItemState.Done;
        done++;
        return true;
    }

    /// <summary>Counts a failed attempt of an item; false if the lease is void.</summary>
    /// <param name="item">The item's index in this range.</param>
    /// <param name="epoch">The epoch of the lease.</param>
    /// <param name="error">The error, for messages.</param>
    /// <param name="now">The current time.</param>
    public bool Fail(int item, int epoch, string error, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        CountFailure(item, error);
        return true;
    }

    /// <summary>Makes an item that was held back pending; false if it was not held back.</summary>
    public bool Open(int item)
    {
        if (!IsKnown(item) || states[item] != ItemState.Held)
            return false;
        held--;
        MakePending(item);
        return true;
    }

    /// <summary>Ends an item that was held back without leasing it: its result has been published, or it is set
    /// aside. False if it was not held back.</summary>
    /// <param name="item">The item's index in this range.</param>
    /// <param name="error">Why it is set aside; null if its result is published.</param>
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

    /// <summary>Takes an item back from a worker that shuts down in order: no failed attempt is counted. False if the
    /// lease is void.</summary>
    public bool Release(int item, int epoch, DateTimeOffset now)
    {
        Expire(now);
        if (!IsHeld(item, epoch))
            return false;
        holdings.Remove(item);
        MakePending(item);
        return true;
    }

    /// <summary>Takes back the items whose leases have expired.</summary>
    /// <param name="now">The current time.</param>
    /// <returns>Whether there was one.</returns>
    public bool Expire(DateTimeOffset now)
    {
        var late = holdings.Where(pair => pair.Value.Deadline <= now).ToArray();
        foreach (var (item, holding) in late)
            CountFailure(
                item,
                $"the lease expired: the worker {holding.Owner} did not renew it. The worker, its machine or its network "
                    + "may have stopped"
            );
        return late.Length > 0;
    }

    /// <summary>Serializes the state: about three bytes per item.</summary>
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

    /// <summary>Reads a serialized state. Nobody could renew a lease while it was only in the store, so every lease
    /// gets its whole duration again.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a state of this version with these terms.</exception>
    public static LeaseBook Load(LeaseTerms terms, byte[] saved, DateTimeOffset now)
    {
        var book = new LeaseBook(terms);
        try
        {
            using var reader = new BinaryReader(new MemoryStream(saved), Encoding.UTF8);
            if (reader.ReadByte() != Version || reader.Read7BitEncodedInt() != terms.Count)
                throw new InvalidDataException(
                    "the stored lease state has a different version or a different number of items"
                );
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
            throw new InvalidDataException("the stored lease state is damaged", error);
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
            throw new InvalidDataException("the stored lease state is inconsistent");
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
