namespace TorchBridge.Scale.Grains;

/// <summary>A grain whose state is kept in the cluster's store.</summary>
/// <typeparam name="TState">The state.</typeparam>
/// <param name="stored">Access to the stored state.</param>
internal abstract class StoredGrain<TState>(IPersistentState<TState> stored) : Grain
{
    /// <summary>The state in memory; it is in the store once <see cref="Store"/> has returned.</summary>
    protected TState State
    {
        get => stored.State;
        set => stored.State = value;
    }

    /// <summary>Writes the state to the store.</summary>
    protected async Task Store()
    {
        try
        {
            await stored.WriteStateAsync();
        }
        catch
        {
            // The state in memory differs from the stored one: deactivation makes the next call read the stored one.
            DeactivateOnIdle();
            throw;
        }
    }

    /// <summary>Removes the state from the store.</summary>
    protected Task Clear() => stored.ClearStateAsync();
}
