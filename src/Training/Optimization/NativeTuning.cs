// Why: a training step frees and allocates the same large buffers again and again. glibc returns them to the system
// each time, and every page is faulted in anew; and OpenMP's threads, where they are not bound, sometimes share a
// core. A .NET process cannot set environment variables for native code, so libc is called, before libtorch is
// loaded. Linux only; whatever the user has set stays. Source: mallopt(3); OpenMP 5.0, 6.4 OMP_PROC_BIND.
using System.Runtime.InteropServices;

namespace TorchBridge.Training.Optimization;

/// <summary>Settings of libc and OpenMP that make training faster. Call first thing in Main.</summary>
internal static partial class NativeTuning
{
    private const int TrimThreshold = -1; // M_TRIM_THRESHOLD
    private const int MmapMax = -4; // M_MMAP_MAX

    /// <summary>
    /// Sets what is faster, before libtorch is loaded; where libc does not have it, nothing is lost.
    /// </summary>
    public static void Apply()
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            _ = SetEnvironment("OMP_PROC_BIND", "true", overwrite: 0);
            _ = SetMallocOption(MmapMax, 0);
            _ = SetMallocOption(TrimThreshold, int.MaxValue);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another libc (musl) has no mallopt: slower, not wrong.
        }
    }

    /// <summary>libc's setenv: native code does not see what .NET sets.</summary>
    /// <param name="name">The variable.</param>
    /// <param name="value">Its value.</param>
    /// <param name="overwrite">0 leaves what the user has set.</param>
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    /// <summary>glibc's mallopt.</summary>
    /// <param name="option"><c>M_MMAP_MAX</c> and its like.</param>
    /// <param name="value">Its value.</param>
    [LibraryImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetMallocOption(int option, int value);
}
