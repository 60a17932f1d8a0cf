// Why: training steps free and allocate the same large buffers again and again. glibc returns them to the system each
// time, so that every page faults again; and OpenMP threads that are not bound to cores sometimes share one. A .NET
// process cannot set environment variables for native code, so libc is called, before libtorch is loaded. Linux only;
// variables that the user has set are kept. With --threads, threads are not bound: whoever gives a number shares the
// machine, and each process binds its first thread to the first core. Source: mallopt(3); OpenMP 5.0, 6.4 OMP_PROC_BIND.
using System.CommandLine;
using System.Runtime.InteropServices;

namespace TorchBridge.Training.Optimization;

/// <summary>Settings of libc and OpenMP that make training faster.</summary>
internal static partial class NativeTuning
{
    private const int TrimThreshold = -1; // M_TRIM_THRESHOLD
    private const int MmapMax = -4; // M_MMAP_MAX

    /// <summary>
    /// Applies the settings before libtorch is loaded; they have no effect if libc does not support them.
    /// </summary>
    /// <param name="bindsThreads">Whether each OpenMP thread stays on one core.</param>
    public static void Apply(bool bindsThreads = true)
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            if (bindsThreads)
                _ = SetEnvironment("OMP_PROC_BIND", "true", overwrite: 0);
            _ = SetMallocOption(MmapMax, 0);
            _ = SetMallocOption(TrimThreshold, int.MaxValue);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another libc (musl) has no mallopt, which is only slower.
        }
    }

    /// <summary>Whether a command line leaves all cores to this process: it does not give a number of
    /// threads.</summary>
    public static bool BindsThreads(ParseResult commandLine) => commandLine.GetResult("--threads") is null;

    /// <summary>libc's setenv, because native code does not see variables that .NET sets.</summary>
    /// <param name="name">The variable.</param>
    /// <param name="value">Its value.</param>
    /// <param name="overwrite">0 keeps a value that the user has set.</param>
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    /// <summary>glibc's mallopt.</summary>
    /// <param name="option">An option such as <c>M_MMAP_MAX</c>.</param>
    /// <param name="value">Its value.</param>
    [LibraryImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetMallocOption(int option, int value);
}
