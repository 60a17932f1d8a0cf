using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>Processes the items that a worker has leased.</summary>
internal interface IItemRunner : IAsyncDisposable
{
    /// <summary>Processes an item and publishes its result.</summary>
    /// <param name="lease">The lease of the item.</param>
    /// <param name="stop">Cancelled when the lease is void or the worker stops.</param>
    /// <returns>What went wrong; null if the result is published.</returns>
    Task<string?> Run(ItemLease lease, CancellationToken stop);
}
