using Microsoft.Win32.SafeHandles;

namespace TorchBridge.Training.Artifacts;

/// <summary>Files that are needed on the way, in the system's folder for them; where that folder is missing, full or
/// read-only, the error says so, and not that something else is wrong.</summary>
internal static class TemporaryFolder
{
    /// <summary>Makes a folder, which the caller removes.</summary>
    /// <param name="prefix">How its name begins.</param>
    /// <exception cref="UserException">It cannot be made.</exception>
    public static DirectoryInfo Create(string prefix) => Guarded(() => Directory.CreateTempSubdirectory(prefix));

    /// <summary>Opens a new file that goes when it is closed, or with the process.</summary>
    /// <returns>A file that nobody else can open by its name.</returns>
    /// <exception cref="UserException">It cannot be made.</exception>
    public static SafeFileHandle OpenFile() =>
        Guarded(() =>
        {
            var path = Path.Combine(Path.GetTempPath(), $"torchbridge-{Guid.NewGuid():N}.tmp");
            var handle = File.OpenHandle(
                path,
                FileMode.CreateNew,
                FileAccess.ReadWrite,
                FileShare.Delete,
                OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None
            );
            // Elsewhere an open file needs no name: it goes even where the process is killed.
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            return handle;
        });

    /// <summary>Works in the folder.</summary>
    /// <param name="work">Reads or writes there.</param>
    /// <exception cref="UserException">It is missing, full or read-only.</exception>
    public static void Guarded(Action work) =>
        Guarded(() =>
        {
            work();
            return true;
        });

    /// <summary>
    /// Turns errors of the disk into one sentence that names the folder and the way out.
    /// </summary>
    /// <param name="work">Reads or writes there.</param>
    private static T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException(
                $"The folder for temporary files, {Path.GetTempPath()}, cannot be written: {error.Message} Make room "
                    + "there, or name another folder: the environment variable TMPDIR (TMP on Windows).",
                error
            );
        }
    }
}
