using Microsoft.Win32.SafeHandles;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>Temporary files in the system's temporary folder, with a clear error if that folder is missing, full or
/// read-only.</summary>
internal static class TemporaryFolder
{
    /// <summary>Creates a folder, which the caller deletes.</summary>
    /// <param name="purpose">Part of its name, in lower-case letters.</param>
    /// <exception cref="UserException">It cannot be created.</exception>
    public static DirectoryInfo Create(string purpose) => Guarded(() => ProcessFiles.NewFolder(purpose));

    /// <summary>Opens a new file that is deleted when it is closed or when the process ends.</summary>
    /// <returns>A file that no other process can open by name.</returns>
    /// <exception cref="UserException">It cannot be created.</exception>
    public static SafeFileHandle OpenFile() =>
        Guarded(() =>
        {
            var path = ProcessFiles.NewPath("file", ".tmp");
            var handle = File.OpenHandle(
                path,
                FileMode.CreateNew,
                FileAccess.ReadWrite,
                FileShare.Delete,
                OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None
            );
            // On other systems an open file needs no name, so it disappears even if the process is killed.
            if (!OperatingSystem.IsWindows())
                File.Delete(path);
            return handle;
        });

    /// <summary>Runs work that uses the folder.</summary>
    /// <param name="work">The work.</param>
    /// <exception cref="UserException">It is missing, full or read-only.</exception>
    public static void Guarded(Action work) =>
        Guarded(() =>
        {
            work();
            return true;
        });

    /// <summary>
    /// Converts disk errors to a message that names the folder and the remedy.
    /// </summary>
    /// <param name="work">The work.</param>
    private static T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException(
                $"The folder for temporary files, {Path.GetTempPath()}, cannot be written: {error.Message} Free "
                    + $"disk space there, or set another folder with the environment variable TMPDIR (TMP on Windows).",
                error
            );
        }
    }
}
