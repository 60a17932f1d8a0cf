using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>Does the items that a worker has leased.</summary>
internal interface IItemRunner : IAsyncDisposable
{
    /// <summary>Does an item and publishes its result.</summary>
    /// <param name="lease">Which.</param>
    /// <param name="stop">The lease is void, or the worker stops.</param>
    /// <returns>What went wrong; null where the result is published.</returns>
    Task<string?> Run(ItemLease lease, CancellationToken stop);
}
