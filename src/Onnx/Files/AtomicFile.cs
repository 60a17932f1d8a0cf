using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchBridge.Onnx.Files;

/// <summary>
/// Writes files completely or not at all: writes to a temporary name, flushes to disk, renames, and flushes the
/// folder too, so that the new name survives a power failure. The only place in the code that renames a file.
/// </summary>
internal static partial class AtomicFile
{
    /// <summary>Suffix of a temporary file's name; 32 hexadecimal digits stand before it.</summary>
    private const string Ending = ".tmp";

    /// <summary>
    /// Called with the final path after a file has been written and before it is renamed; tests simulate a crash
    /// here.
    /// </summary>
    internal static Action<string>? BeforeRename { get; set; }

    /// <summary>Writes a file atomically.</summary>
    /// <param name="path">The file to write; an existing file is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="IOException">The file cannot be written; an existing file is left unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to write the file.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, temporary =>
        {
            Rename(temporary, path);
            return true;
        });

    /// <summary>Writes a file under a temporary name, flushes it, and calls back to give it its final name.</summary>
    /// <param name="path">The final path; the temporary file is in the same folder.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="name">Receives the temporary path and gives the file its final name; returns false where another
    /// file already has that name.</param>
    /// <returns>The result of <paramref name="name"/>; the temporary file is gone in either case.</returns>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to write the file.</exception>
    internal static bool Write(string path, Action<Stream> write, Func<string, bool> name)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}{Ending}";
        bool isNamed;
        try
        {
            // Stays open until the file has its final name: a temporary file that no process holds open is a
            // leftover.
            using var stream = new FileStream(
                temporary,
                FileMode.CreateNew,
                FileAccess.Write,
                FileShare.Delete,
                1 << 16
            );
            write(stream);
            stream.Flush(flushToDisk: true);
            isNamed = name(temporary);
        }
        finally
        {
            File.Delete(temporary);
        }

        FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
        return isNamed;
    }

    /// <summary>Writes a text file in UTF-8, without a byte order mark.</summary>
    /// <param name="path">The file to write; an existing file is replaced.</param>
    /// <param name="text">The content.</param>
    /// <exception cref="IOException">The file cannot be written; an existing file is left unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to write the file.</exception>
    public static void Text(string path, string text) =>
        Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Gives a complete file its final name on the same disk. The file system does this in one step, so readers see
    /// either the old content or the new. The caller flushes the folder once all files are renamed.
    /// </summary>
    /// <param name="from">The complete, flushed file.</param>
    /// <param name="path">Its final path; an existing file is replaced.</param>
    internal static void Rename(string from, string path)
    {
        BeforeRename?.Invoke(path);
        File.Move(from, path, overwrite: true);
    }

    /// <summary>
    /// Flushes a file's content to the disk, so that a later rename cannot survive a power failure that the content
    /// does not.
    /// </summary>
    /// <param name="path">A file that its writer has closed.</param>
    internal static void Flush(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>
    /// Deletes temporary files left in a folder by processes that were killed before they could rename them. Files
    /// that a running process holds open are kept.
    /// </summary>
    /// <param name="folder">Where to look; subfolders are not searched.</param>
    internal static void RemoveLeftovers(string folder)
    {
        foreach (
            var file in Directory.EnumerateFiles(folder, $"*{Ending}").Where(file => TemporaryName().IsMatch(file))
        )
        {
            if (IsAbandoned(file))
                File.Delete(file);
        }
    }

    /// <summary>
    /// Whether no process holds a file open. Writers keep a file open until it has its final name, so such a file is
    /// a leftover.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>False also where the file no longer exists or belongs to another user.</returns>
    internal static bool IsAbandoned(string path)
    {
        try
        {
            using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // held open, gone, or owned by another user
        }
    }

    /// <summary>
    /// Flushes a folder's entries to disk (fsync of the folder); without this a rename may be lost in a power
    /// failure. Windows does this by itself.
    /// </summary>
    /// <param name="folder">The folder; nothing happens where it cannot be opened or flushed.</param>
    internal static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        var descriptor = Open(folder, 0);
        // A file system that cannot do this is no reason to fail: the file is complete under either name.
        if (descriptor < 0)
            return;
        _ = FSync(descriptor);
        _ = Close(descriptor);
    }

    [GeneratedRegex(@"\.[0-9a-f]{32}\.tmp$")]
    private static partial Regex TemporaryName();

    /// <summary>POSIX <c>open</c>: .NET has no way to open a folder.</summary>
    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags);

    /// <summary>POSIX <c>fsync</c>.</summary>
    [LibraryImport("libc", EntryPoint = "fsync")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int FSync(int descriptor);

    /// <summary>POSIX <c>close</c>.</summary>
    [LibraryImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);
}
