using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace TorchBridge.Onnx.Files;

/// <summary>
/// Writes files whole or not at all: to a temporary name, flushed to the disk, renamed, and the folder flushed too,
/// so that the new name outlives a power cut. The only place that renames a file.
/// </summary>
internal static partial class AtomicFile
{
    /// <summary>What a temporary file's name ends with, behind 32 hexadecimal digits.</summary>
    private const string Ending = ".tmp";

    /// <summary>Called with the final path between a file that is written and its rename; tests die there.</summary>
    internal static Action<string>? BeforeRename { get; set; }

    /// <summary>Writes a file.</summary>
    /// <param name="path">Its name; a file that is there is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="IOException">The place cannot be written; the file that was there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">The place must not be written.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, temporary =>
        {
            Rename(temporary, path);
            return true;
        });

    /// <summary>Writes a file to a temporary name, flushes it, and has it named.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="name">Is given the temporary name, and makes the file known by its own; false where another file
    /// has that.</param>
    /// <returns>What <paramref name="name"/> said; the temporary name is gone in any case.</returns>
    /// <exception cref="IOException">The place cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The place must not be written.</exception>
    internal static bool Write(string path, Action<Stream> write, Func<string, bool> name)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}{Ending}";
        bool isNamed;
        try
        {
            // Open until it has its name: a temporary file that nobody holds was left by a process that is gone.
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
    /// <param name="path">Its name; a file that is there is replaced.</param>
    /// <param name="text">The content.</param>
    /// <exception cref="IOException">The place cannot be written; the file that was there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">The place must not be written.</exception>
    public static void Text(string path, string text) =>
        Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Gives a whole file its final name, on the same disk: one step of the file system, so that readers see the old
    /// content or the new one. The caller flushes the folder when all are renamed.
    /// </summary>
    /// <param name="from">The whole, flushed file.</param>
    /// <param name="path">Its final name; a file that is there is replaced.</param>
    internal static void Rename(string from, string path)
    {
        BeforeRename?.Invoke(path);
        File.Move(from, path, overwrite: true);
    }

    /// <summary>
    /// Flushes a file's content to the disk, so that a rename that follows cannot outlive it.
    /// </summary>
    /// <param name="path">A file that is closed by who wrote it.</param>
    internal static void Flush(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>
    /// Deletes temporary files in a folder whose writers are gone: a process that was killed between creating and
    /// renaming. Files that a living process holds open are left.
    /// </summary>
    /// <param name="folder">Where to look; not in folders inside.</param>
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
    /// Whether no process holds a file open. Writers hold theirs until it has its final name, so such a file was left
    /// behind.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>False too where the file is gone, or belongs to somebody else.</returns>
    internal static bool IsAbandoned(string path)
    {
        try
        {
            using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // held, gone, or somebody else's
        }
    }

    /// <summary>
    /// Writes a folder's names to the disk (fsync of the folder), without which a rename may be lost with the power.
    /// Windows does that by itself.
    /// </summary>
    /// <param name="folder">The folder; where it cannot be opened or synced nothing happens.</param>
    internal static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        var descriptor = Open(folder, 0);
        // A file system without this is no reason to fail: the file is whole under either name.
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
