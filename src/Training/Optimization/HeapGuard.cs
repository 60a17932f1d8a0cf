// Why: buffers of many sizes are allocated and freed by several threads, and glibc's heap is fragmented more with each
// batch: at 256 pixels it grew by 20 MB a second without a single tensor more, to 7 GB. Returning the free blocks costs
// about 0.1 s, because their pages fault again, so it is done only when the process has grown by half.
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Training.Optimization;

/// <summary>Keeps the resident memory of a long run flat. Safe for use from several threads: at worst memory is
/// returned once more than needed.</summary>
internal static class HeapGuard
{
    /// <summary>Below this size, in bytes, memory is never returned.</summary>
    private const long Least = 1L << 30;

    /// <summary>Batches after which the process has its usual size again.</summary>
    private const int Settled = 8;

    private static long limit = Least;
    private static int sinceTrim;

    /// <summary>Must be called after each batch, when its tensors have been disposed.</summary>
    public static void AfterBatch()
    {
        var size = Environment.WorkingSet;
        sinceTrim++;
        if (sinceTrim == Settled)
            limit = LimitOf(size);
        if (sinceTrim < Settled || size <= limit)
            return;
        NativeHeap.Trim();
        sinceTrim = 0;
    }

    /// <summary>The size at which memory is returned next.</summary>
    /// <param name="settled">Size of the process, in bytes, a few batches after memory was last returned.</param>
    public static long LimitOf(long settled) => Math.Max(Least, settled + (settled / 2));
}
