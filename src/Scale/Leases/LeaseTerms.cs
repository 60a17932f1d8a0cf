namespace TorchBridge.Scale.Leases;

/// <summary>The terms under which items are leased.</summary>
/// <param name="Count">Number of items.</param>
/// <param name="Duration">How long a lease lasts unless it is renewed.</param>
/// <param name="MostAttempts">Number of failed attempts after which an item is set aside; 1 to 255.</param>
internal sealed record LeaseTerms(int Count, TimeSpan Duration, int MostAttempts)
{
    /// <summary>The largest number of attempts that can be counted: one byte.</summary>
    public const int AttemptLimit = 255;

    /// <summary>How many of the first items are held back: they are not leased until they are opened.</summary>
    public int Held { get; init; }
}

/// <summary>A lease that was just granted.</summary>
/// <param name="Item">The item's index in its range.</param>
/// <param name="Epoch">How often the item has been leased, this time included.</param>
/// <param name="Deadline">When the lease becomes void.</param>
internal readonly record struct GrantedLease(int Item, int Epoch, DateTimeOffset Deadline);

/// <summary>Number of items in each state.</summary>
internal readonly record struct BookCounts(int Pending, int Leased, int Done, int SetAside, int Held);

/// <summary>A current lease.</summary>
/// <param name="Item">The item's index in its range.</param>
/// <param name="Epoch">How often the item has been leased, this time included.</param>
/// <param name="Owner">The name of the worker that has it.</param>
internal readonly record struct HeldLease(int Item, int Epoch, string Owner);
