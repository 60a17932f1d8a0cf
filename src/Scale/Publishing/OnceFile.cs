// Why not File.Move(overwrite: false): on Unix .NET looks whether the target is there and then calls rename(2), which
// replaces a file that came between. link(2) is one step: it makes the second name, or fails because it is there, on
// NFS too. Where a file system has no hard links (FAT, some network shares), the system's own rename that refuses to
// replace does the same. Windows' MoveFileEx refuses by itself.
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Scale.Publishing;

/// <summary>Files that are written whole, once, and never replaced: of two writers the first one wins.</summary>
internal static partial class OnceFile
{
    private const int FileExists = 17; // EEXIST, on Linux and macOS
    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint NoReplace = 1; // RENAME_NOREPLACE
    private const uint Exclusive = 4; // RENAME_EXCL

    /// <summary>Called with the final path when the temporary file is whole; tests die there.</summary>
    internal static Action<string>? BeforePublish { get; set; }

    /// <summary>Called with the final path once the file has it; tests die there.</summary>
    internal static Action<string>? AfterPublish { get; set; }

    /// <summary>Writes a file: to a temporary name, flushed, then named in one step.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="write">Writes the content.</param>
    /// <returns>Whether this writer was the first; where it was not, the file that is there is as it was.</returns>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The place must not be written.</exception>
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
                $"{path} cannot be published: {Marshal.GetPInvokeErrorMessage(error)}. The folder's file system needs hard "
                    + "links, or a rename that does not replace."
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
