namespace TorchBridge.Scale.Leases;

/// <summary>How items are leased.</summary>
/// <param name="Count">Items.</param>
/// <param name="Duration">How long a lease lasts where it is not renewed.</param>
/// <param name="MostAttempts">After so many failed attempts an item is set aside; 1 to 255.</param>
internal sealed record LeaseTerms(int Count, TimeSpan Duration, int MostAttempts)
{
    /// <summary>The most attempts that can be counted.</summary>
    public const int AttemptLimit = 255;

    /// <summary>The first so many items are held back: they are not given out before somebody opens them.</summary>
    public int Held { get; init; }
}

/// <summary>A lease that was given.</summary>
/// <param name="Item">The item's place in its book.</param>
/// <param name="Epoch">How often the item has been given out.</param>
/// <param name="Deadline">When it is void.</param>
internal readonly record struct GrantedLease(int Item, int Epoch, DateTimeOffset Deadline);

/// <summary>How many items of a book are in which state.</summary>
internal readonly record struct BookCounts(int Pending, int Leased, int Done, int SetAside, int Held);

/// <summary>A lease that somebody has.</summary>
/// <param name="Item">The item's place in its book.</param>
/// <param name="Epoch">How often the item has been given out.</param>
/// <param name="Owner">Who has it.</param>
internal readonly record struct HeldLease(int Item, int Epoch, string Owner);
