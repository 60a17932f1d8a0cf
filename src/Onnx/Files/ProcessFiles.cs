// A killed process cannot remove its files from the system's temporary folder, and no other process can tell that
// they are useless. Their names therefore say which process owns them, and the next process to start removes those
// whose owner has ended:
//   torchbridge-PURPOSE-PID-START-SPACE-...
// PID alone is not enough, because process numbers are reused: START is when that process started, in the operating
// system's own ticks. SPACE is Linux's process-ID namespace: containers that share a folder do not see each other's
// processes.
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace TorchBridge.Onnx.Files;

/// <summary>
/// Files and folders in the system's temporary folder whose names identify the process they belong to; leftovers of
/// processes that have ended are removed at the next start.
/// </summary>
internal static partial class ProcessFiles
{
    private static readonly Lazy<string> Owner = new(OwnerOfThisProcess);

    /// <summary>A path for a new file, which the caller creates and removes.</summary>
    /// <param name="purpose">What the file or folder is for, in lower-case letters a to z.</param>
    /// <param name="ending">File extension, with its dot.</param>
    public static string NewPath(string purpose, string ending) =>
        Path.Combine(Path.GetTempPath(), $"{Prefix(purpose)}{Guid.NewGuid():N}{ending}");

    /// <summary>Creates a new folder that only this user can read; the caller removes it.</summary>
    /// <param name="purpose">What the file or folder is for, in lower-case letters a to z.</param>
    /// <exception cref="IOException">The folder cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">There is no permission to create the folder.</exception>
    public static DirectoryInfo NewFolder(string purpose) => Directory.CreateTempSubdirectory(Prefix(purpose));

    /// <summary>
    /// Removes the files and folders of processes that have ended; whatever cannot be removed is left alone.
    /// </summary>
    public static void RemoveAbandoned() => RemoveAbandoned(Path.GetTempPath());

    /// <summary>Removes the leftovers of ended processes from a given folder.</summary>
    /// <param name="folder">The folder; it need not exist.</param>
    internal static void RemoveAbandoned(string folder)
    {
        try
        {
            foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("torchbridge-*"))
            {
                if (IsAbandoned(entry.Name))
                    Remove(entry);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The folder is missing or may not be read: the code that needs it reports that.
        }
    }

    /// <summary>
    /// When a process started, in the operating system's own ticks; null where no process has that number, and 0
    /// where the system does not say.
    /// </summary>
    internal static long? StartOf(int process)
    {
        try
        {
            if (OperatingSystem.IsLinux())
                return LinuxStartOf(process);
            using var found = Process.GetProcessById(process);
            return found.StartTime.ToFileTimeUtc();
        }
        catch (ArgumentException)
        {
            return null;
        }
        catch (Exception error)
            when (error is System.ComponentModel.Win32Exception or InvalidOperationException or NotSupportedException)
        {
            return 0; // another user's process, or one that just ended: the next start looks again
        }
    }

    private static string Prefix(string purpose) => $"torchbridge-{purpose}-{Owner.Value}-";

    private static string OwnerOfThisProcess() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Environment.ProcessId}-{StartOf(Environment.ProcessId) ?? 0}-{Space()}"
        );

    private static bool IsAbandoned(string name)
    {
        var match = OwnedName().Match(name);
        if (
            !match.Success
            || match.Groups["space"].Value != Space()
            || !int.TryParse(match.Groups["process"].Value, CultureInfo.InvariantCulture, out var process)
            || !long.TryParse(match.Groups["start"].Value, CultureInfo.InvariantCulture, out var start)
            || start == 0
        )
            return false;
        return StartOf(process) switch
        {
            null => true,
            0 => false,
            var running => running != start,
        };
    }

    private static void Remove(FileSystemInfo entry)
    {
        try
        {
            if (entry is DirectoryInfo folder)
                folder.Delete(recursive: true);
            else
                entry.Delete();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Another user's file, or another process removed it first.
        }
    }

    /// <summary>
    /// The start in ticks since boot, which never changes; <see cref="Process.StartTime"/> is wall-clock time and
    /// shifts when the clock is set.
    /// </summary>
    private static long? LinuxStartOf(int process)
    {
        try
        {
            var line = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            // The program's name is in parentheses and may contain spaces; the start is field 22, the 20th after the
            // name.
            const int startAfterName = 19;
            var fields = line[(line.LastIndexOf(')') + 2)..].Split(' ');
            return long.Parse(fields[startAfterName], CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return Directory.Exists("/proc/self") ? null : 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The process ended while its file was being read.
            return 0;
        }
    }

    /// <summary>
    /// The number of the process-ID namespace, from a link such as <c>pid:[4026531836]</c>; 0 on systems other than
    /// Linux.
    /// </summary>
    private static string Space()
    {
        const string link = "/proc/self/ns/pid";
        try
        {
            return OperatingSystem.IsLinux() && new FileInfo(link).LinkTarget is { } target
                ? string.Concat(target.Where(char.IsAsciiDigit))
                : "0";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "0";
        }
    }

    [GeneratedRegex("^torchbridge-[a-z]+-(?<process>[0-9]+)-(?<start>[0-9]+)-(?<space>[0-9]+)-")]
    private static partial Regex OwnedName();
}
