using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>Does items in the test's own process.</summary>
internal sealed class DirectRunner : IItemRunner
{
    private int items;

    /// <summary>How many it was given.</summary>
    public int Items => items;

    /// <inheritdoc/>
    public Task<string?> Run(ItemLease lease, CancellationToken stop) =>
        Task.Run(
            () =>
            {
                Interlocked.Increment(ref items);
                var (work, results) = FaultyWork.Open(lease.Folder);
                try
                {
                    results.DoOnce(work, work.Item(lease.Index), stop);
                    return null;
                }
                catch (InvalidOperationException error)
                {
                    return error.Message;
                }
            },
            stop
        );

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
