// Why: an export goes through phases that each need memory of their own (tracing, an oracle's activations, a
// session). What a phase has freed stays with the process unless it is given back: glibc keeps freed blocks, the
// garbage collector keeps decommittable regions.
using System.Runtime.InteropServices;

namespace TorchBridge.Export.Native;

/// <summary>Gives freed memory back to the system between the phases of an export.</summary>
internal static partial class MemoryRelief
{
    /// <summary>Collects garbage, compacts, and lets glibc give back what it keeps.</summary>
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
            // Another libc (musl) has no malloc_trim: more memory stays, nothing else.
        }
    }

    /// <summary>glibc's malloc_trim.</summary>
    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MallocTrim(nuint pad);
}
