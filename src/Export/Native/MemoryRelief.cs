// Why: each phase of an export needs memory of its own (tracing, reference activations, a session). Memory that a
// phase has freed stays with the process unless it is returned to the system: glibc keeps freed blocks, and the
// garbage collector keeps regions that could be decommitted.
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Export.Native;

/// <summary>Returns freed memory to the system between the phases of an export.</summary>
internal static class MemoryRelief
{
    /// <summary>Collects garbage, compacts the heap, and returns free blocks of the native heap.</summary>
    public static void Release()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        NativeHeap.Trim();
    }
}
