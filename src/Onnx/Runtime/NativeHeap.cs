using System.Runtime.InteropServices;

namespace TorchBridge.Onnx.Runtime;

/// <summary>The heap of native libraries, such as libtorch.</summary>
internal static partial class NativeHeap
{
    /// <summary>Returns free blocks to the system; glibc would keep them. Does nothing where libc cannot.</summary>
    public static void Trim()
    {
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
