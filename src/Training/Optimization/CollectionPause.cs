// Why: TorchSharp 0.107 hands `Scalar.Handle` to native code without keeping the Scalar alive (BatchNorm's
// `num_batches_tracked.add_(1)`, the optimizer's factors). Where the garbage collector runs during such a call, the
// Scalar's finalizer frees what the call is reading: "Unknown scalar type", or a wrong number. It was seen here after
// 25 steps, with another thread allocating. No collection, no race: steps run in regions without collections, and the
// heap is collected between two steps.
using System.Runtime;

namespace TorchBridge.Training.Optimization;

/// <summary>Keeps the garbage collector away from training steps.</summary>
internal sealed class CollectionPause : IDisposable
{
    private const long Budget = 192L << 20;
    private long allocatedAtStart;

    /// <summary>Call between two steps: collects now where the region's budget is half used.</summary>
    public void BetweenSteps()
    {
        if (IsActive && GC.GetTotalAllocatedBytes() - allocatedAtStart < Budget / 2)
            return;
        End();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.TryStartNoGCRegion(Budget);
        allocatedAtStart = GC.GetTotalAllocatedBytes();
    }

    /// <inheritdoc/>
    public void Dispose() => End();

    /// <summary>Whether a region without collections is open.</summary>
    private static bool IsActive => GCSettings.LatencyMode == GCLatencyMode.NoGCRegion;

    /// <summary>
    /// Closes the region; where the collector has closed it already, nothing is left to do.
    /// </summary>
    private static void End()
    {
        if (IsActive)
            GC.EndNoGCRegion();
    }
}
