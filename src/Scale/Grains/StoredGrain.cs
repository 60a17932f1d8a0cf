namespace TorchBridge.Scale.Grains;

/// <summary>A grain whose books are in a store.</summary>
/// <typeparam name="TState">The books.</typeparam>
/// <param name="stored">Where they are.</param>
internal abstract class StoredGrain<TState>(IPersistentState<TState> stored) : Grain
{
    /// <summary>The books, as they are here: in the store once <see cref="Store"/> has returned.</summary>
    protected TState State
    {
        get => stored.State;
        set => stored.State = value;
    }

    /// <summary>Writes the books.</summary>
    protected async Task Store()
    {
        try
        {
            await stored.WriteStateAsync();
        }
        catch
        {
            // What is in memory is not in the store: the next call reads what is.
            DeactivateOnIdle();
            throw;
        }
    }

    /// <summary>Removes the books.</summary>
    protected Task Clear() => stored.ClearStateAsync();
}
