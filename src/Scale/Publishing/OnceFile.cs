// Why not File.Move(overwrite: false)? On Unix, .NET first checks whether the target exists and then calls rename(2),
// which replaces a file that was created in between. link(2) is atomic, on NFS too: it creates the second name, or
// fails because that name exists. On file systems without hard links (FAT, some network shares) the system's rename
// that does not replace is used instead. On Windows, MoveFileEx does not replace by itself.
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Scale.Publishing;

/// <summary>Files that are written completely or not at all, and never replaced: of two writers, the first
/// wins.</summary>
internal static partial class OnceFile
{
    private const int FileExists = 17; // EEXIST, on Linux and macOS
    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint NoReplace = 1; // RENAME_NOREPLACE
    private const uint Exclusive = 4; // RENAME_EXCL

    /// <summary>Called with the final path when the temporary file is complete; tests kill the process
    /// here.</summary>
    internal static Action<string>? BeforePublish { get; set; }

    /// <summary>Called with the final path once the file has that name; tests kill the process here.</summary>
    internal static Action<string>? AfterPublish { get; set; }

    /// <summary>Writes a file under a temporary name, flushes it, and gives it its name in one step.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="write">Writes the content.</param>
    /// <returns>Whether this writer was the first; if not, the existing file is unchanged.</returns>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to write the file.</exception>
    public static bool Write(string path, Action<Stream> write)
    {
        var isFirst = AtomicFile.Write(path, write, temporary =>
        {
            BeforePublish?.Invoke(path);
            return Name(temporary, path);
        });
        if (isFirst)
            AfterPublish?.Invoke(path);
        return isFirst;
    }

    private static bool Name(string temporary, string path)
    {
        if (OperatingSystem.IsWindows())
        {
            try
            {
                File.Move(temporary, path, overwrite: false);
                return true;
            }
            catch (IOException) when (File.Exists(path))
            {
                return false;
            }
        }

        if (Link(temporary, path) == 0)
            return true;
        var error = Marshal.GetLastPInvokeError();
        if (error == FileExists)
            return false;
        var renamed = OperatingSystem.IsMacOS()
            ? RenameExclusively(temporary, path, Exclusive)
            : RenameWithoutReplacing(CurrentFolder, temporary, CurrentFolder, path, NoReplace);
        if (renamed == 0)
            return true;
        return Marshal.GetLastPInvokeError() == FileExists
            ? false
            : throw new IOException(
                $"{path} cannot be published: {Marshal.GetPInvokeErrorMessage(error)}. The file system must support hard "
                    + "links, or a rename that does not replace an existing file; choose a folder on another one."
            );
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Link(string from, string to);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int RenameWithoutReplacing(int fromFolder, string from, int toFolder, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "renamex_np", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int RenameExclusively(string from, string to, uint flags);
}
