using System.ComponentModel;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Export.Native;

/// <summary>
/// Lets TorchSharp 0.107.0 load on Linux systems whose libstdc++ is older than GCC 13's (Debian 12, Ubuntu 22.04),
/// without installing anything. It does nothing on systems where the library loads normally: the handler is called
/// only after a load has failed.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class TorchSharpLoader
{
    /// <summary>1 once the handler is installed; only the first call has an effect.</summary>
    private static int installed;

    /// <summary>
    /// Installs the handler, once per process. Called by a module initializer in the assembly of every executable,
    /// because once <c>torch</c> has failed to load, it keeps failing in that process.
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
    /// Called by the runtime when it has not found a native library; returns 0 to leave it to other handlers.
    /// </summary>
    private static nint Resolve(Assembly assembly, string name)
    {
        // The runtime tries several spellings of a name; only TorchSharp's own library is handled here.
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
                $"libtorch was not found in {string.Join(", ", candidates)}. TorchSharp's own package does not "
                    + "contain it. Add a PackageReference to TorchSharp-cpu 0.107.0, or to TorchSharp-cuda-linux, "
                    + "to the application's project."
            );
        }

        return Load(library, libtorch, MendedLibraryCache.DefaultFolder);
    }

    /// <summary>
    /// Loads an adapted copy of <paramref name="library"/>, which uses the given libtorch.
    /// </summary>
    /// <param name="library">The library that fails to load.</param>
    /// <param name="libtorch">The libtorch library that belongs to it.</param>
    /// <param name="cache">Folder of the adapted copies.</param>
    /// <returns>The handle of the loaded copy.</returns>
    /// <exception cref="DllNotFoundException">The library is not the expected one; the message says what to install
    /// instead.</exception>
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
    /// Loads an adapted copy, from a folder of this process if the user's cache cannot be written.
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
            // The home folder is missing, full or read-only: use a copy for this process, which can be deleted once
            // it is loaded.
            own = ProcessFiles.NewFolder("native").FullName;
            mended = MendedLibraryCache.GetOrAdd(library, own);
        }

        try
        {
            // From the folder that libtorch_cpu was loaded from, because a second copy of libtorch aborts the
            // process.
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
    /// Prevents TorchSharp's fallback: it catches the exception of a failed load, copies 480 MB from the NuGet folder
    /// to the output folder, and fails all the same. It finds that folder through NUGET_PACKAGES, so a folder that
    /// does not exist makes it report the error at once. Only this process is affected.
    /// </summary>
    private static void PreventFallback() =>
        Environment.SetEnvironmentVariable(
            "NUGET_PACKAGES",
            Path.Combine(Path.GetTempPath(), $"torchbridge-no-fallback-{Guid.NewGuid():N}")
        );

    /// <summary>Folders in which the native library may be.</summary>
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

    /// <summary>The path of a file in the first folder that contains it.</summary>
    private static string? Find(IEnumerable<string> folders, string file) =>
        folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
}
