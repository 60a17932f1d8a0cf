using System.ComponentModel;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Export.Native;

/// <summary>
/// Lets TorchSharp 0.107.0 load on Linux systems whose libstdc++ is older than GCC 13's (Debian 12, Ubuntu 22.04),
/// with nothing installed. A system on which the normal load works never gets here: the handler is raised only after
/// that load has failed.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class TorchSharpLoader
{
    /// <summary>1 once it is installed: only the first call does anything.</summary>
    private static int installed;

    /// <summary>
    /// Installs the handler, once per process. Called by a module initializer in every executable's own assembly,
    /// because a <c>torch</c> that has failed to load stays failed for the process.
    /// </summary>
    public static void Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            return;
        if (Interlocked.Exchange(ref installed, 1) == 1)
            return;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += Resolve;
    }

    /// <summary>
    /// What the runtime asks where it has not found a native library; 0 leaves it to others.
    /// </summary>
    private static nint Resolve(Assembly assembly, string name)
    {
        // The runtime asks for several spellings; only TorchSharp's own library is our business.
        if (Path.GetFileNameWithoutExtension(name) is not ("LibTorchSharp" or "libLibTorchSharp"))
            return 0;
        if (assembly.GetName().Name != "TorchSharp")
            return 0;

        var candidates = SearchFolders(assembly).ToArray();
        var library = Find(candidates, "libLibTorchSharp.so");
        var libtorch = Find(candidates, "libtorch.so");
        if (library is null)
            return 0;
        if (libtorch is null)
        {
            PreventFallback();
            throw new DllNotFoundException(
                $"libtorch is in none of {string.Join(", ", candidates)}: TorchSharp's package does not "
                    + "hold it. Add a PackageReference to TorchSharp-cpu 0.107.0, or to TorchSharp-cuda-linux, "
                    + "in the application's project."
            );
        }

        return Load(library, libtorch, MendedLibraryCache.DefaultFolder);
    }

    /// <summary>
    /// Loads a mended copy of <paramref name="library"/> beside the libtorch that the process already holds.
    /// </summary>
    /// <param name="library">The library that does not load.</param>
    /// <param name="libtorch">The libtorch that belongs to it.</param>
    /// <param name="cache">Where mended copies are kept.</param>
    /// <returns>The handle of the loaded copy.</returns>
    /// <exception cref="DllNotFoundException">The library is not the expected one; the message says what to
    /// install.</exception>
    internal static nint Load(string library, string libtorch, string cache)
    {
        try
        {
            return LoadMended(library, libtorch, cache);
        }
        catch (Exception error)
            when (error is InvalidDataException or IOException or UnauthorizedAccessException or DllNotFoundException)
        {
            PreventFallback();
            throw new DllNotFoundException(
                $"TorchSharp's native library could not be loaded. {library} needs a newer libstdc++ "
                    + "(GLIBCXX_3.4.32, GCC 13) than this system has, "
                    + $"and it is not the file that TorchBridge knows how to adapt ({error.Message}). "
                    + "Install libstdc++6 of GCC 13 or newer "
                    + "(Debian 13, Ubuntu 24.04, or conda's libstdcxx-ng), or use TorchSharp 0.107.0.",
                error
            );
        }
    }

    /// <summary>
    /// Loads a mended copy, from a folder of this process where the user's cannot be written.
    /// </summary>
    private static nint LoadMended(string library, string libtorch, string cache)
    {
        string mended;
        string? own = null;
        try
        {
            mended = MendedLibraryCache.GetOrAdd(library, cache);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A home that is missing, full or read-only: a copy for this process, which needs no name once it is loaded.
            own = ProcessFiles.NewFolder("native").FullName;
            mended = MendedLibraryCache.GetOrAdd(library, own);
        }

        try
        {
            // From the folder that libtorch_cpu came from: a second copy of libtorch aborts the process.
            NativeLibrary.Load(libtorch);
            return NativeLibrary.Load(mended);
        }
        finally
        {
            if (own is not null)
                Directory.Delete(own, recursive: true);
        }
    }

    /// <summary>
    /// TorchSharp catches what a load throws and then copies 480 MB from the NuGet folder into the output folder, to
    /// fail all the same. It looks for that folder in NUGET_PACKAGES: a name that does not exist ends it with the
    /// error instead. Only this process sees it.
    /// </summary>
    private static void PreventFallback() =>
        Environment.SetEnvironmentVariable(
            "NUGET_PACKAGES",
            Path.Combine(Path.GetTempPath(), $"torchbridge-no-fallback-{Guid.NewGuid():N}")
        );

    /// <summary>Where the native library may be.</summary>
    private static IEnumerable<string> SearchFolders(Assembly torchSharp)
    {
        yield return AppContext.BaseDirectory;
        yield return Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");
        if (Path.GetDirectoryName(torchSharp.Location) is { Length: > 0 } besideAssembly)
            yield return besideAssembly;
        if (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") is string folders)
        {
            foreach (var folder in folders.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
                yield return folder;
        }
    }

    /// <summary>The first of the folders' files that is there.</summary>
    private static string? Find(IEnumerable<string> folders, string file) =>
        folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
}
