// Why: each phase of an export needs memory of its own (tracing, reference activations, a session). Memory that a
// phase has freed stays with the process unless it is returned to the system: glibc keeps freed blocks, and the
// garbage collector keeps regions that could be decommitted.
using System.Runtime.InteropServices;

namespace TorchBridge.Export.Native;

/// <summary>Returns freed memory to the system between the phases of an export.</summary>
internal static partial class MemoryRelief
{
    /// <summary>Collects garbage, compacts the heap, and lets glibc return its free blocks.</summary>
    public static void Release()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            _ = MallocTrim(0);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another libc (musl) has no malloc_trim: the process merely keeps more memory.
        }
    }

    /// <summary>glibc's malloc_trim.</summary>
    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MallocTrim(nuint pad);
}
