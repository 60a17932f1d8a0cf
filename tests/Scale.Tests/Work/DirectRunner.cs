using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>Processes items in the process of the test.</summary>
internal sealed class DirectRunner : IItemRunner
{
    private int items;

    /// <summary>How many items it was given.</summary>
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
