// Why: TorchSharp 0.107 passes `Scalar.Handle` to native code without keeping the Scalar alive (BatchNorm's
// `num_batches_tracked.add_(1)`, the optimizer's factors). If the garbage collector runs during such a call, the
// Scalar's finalizer frees what the call is reading: "Unknown scalar type", or a wrong number. This was observed after
// 25 steps with another thread allocating. Without a collection there is no race, so steps run in no-GC regions, and
// the heap is collected between two steps.
using System.Runtime;

namespace TorchBridge.Training.Optimization;

/// <summary>Prevents garbage collections during training steps.</summary>
internal sealed class CollectionPause : IDisposable
{
    private const long Budget = 192L << 20;
    private long allocatedAtStart;

    /// <summary>To be called between two steps: collects if half of the region's budget is used.</summary>
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

    /// <summary>Whether a no-GC region is active.</summary>
    private static bool IsActive => GCSettings.LatencyMode == GCLatencyMode.NoGCRegion;

    /// <summary>
    /// Ends the region, unless the collector has ended it already.
    /// </summary>
    private static void End()
    {
        if (IsActive)
            GC.EndNoGCRegion();
    }
}
