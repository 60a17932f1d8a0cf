// Why: a process that is killed cannot remove its files from the system's folder for temporary ones, and nobody else
// knows that they are of no use. So their names say whose they are, and whoever comes next removes those of the dead:
//   torchbridge-PURPOSE-PID-START-SPACE-...
// PID alone is not enough, since numbers are given anew: START is when that process began, in the system's own ticks.
// SPACE is Linux's namespace of process numbers: containers that share a folder do not see each other's processes.
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace TorchBridge.Onnx.Files;

/// <summary>Files and folders in the system's place for temporary ones, under names that tell the process that they
/// belong to; those of processes that are gone are removed at the next start.</summary>
internal static partial class ProcessFiles
{
    private static readonly Lazy<string> Owner = new(OwnerOfThisProcess);

    /// <summary>A path for a new file, which the caller makes and removes.</summary>
    /// <param name="purpose">Small letters.</param>
    /// <param name="ending">With its dot.</param>
    public static string NewPath(string purpose, string ending) =>
        Path.Combine(Path.GetTempPath(), $"{Prefix(purpose)}{Guid.NewGuid():N}{ending}");

    /// <summary>Makes a new folder, for this user's eyes only, which the caller removes.</summary>
    /// <param name="purpose">Small letters.</param>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It must not be made.</exception>
    public static DirectoryInfo NewFolder(string purpose) => Directory.CreateTempSubdirectory(Prefix(purpose));

    /// <summary>Removes what processes that are gone have left; what cannot be removed is left alone.</summary>
    public static void RemoveAbandoned() => RemoveAbandoned(Path.GetTempPath());

    /// <summary>The same in another folder.</summary>
    /// <param name="folder">It need not be there.</param>
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
            // The folder is missing, or must not be read: who needs it says so.
        }
    }

    /// <summary>When a process began, in ticks of the system's own kind; null where there is none of that number,
    /// and 0 where the system does not tell.</summary>
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
            return 0; // somebody else's, or just ended: the next start looks again
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
            // Another user's, or another start was quicker.
        }
    }

    /// <summary>Exact, where <see cref="Process.StartTime"/> is a clock's time and moves when the clock is
    /// set.</summary>
    private static long? LinuxStartOf(int process)
    {
        try
        {
            var line = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            // The program's name stands in parentheses and may hold blanks; the start is field 22, the 20th after it.
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
            // A process that ends while its file is read.
            return 0;
        }
    }

    /// <summary>The namespace's number, from a link such as <c>pid:[4026531836]</c>; 0 elsewhere than on
    /// Linux.</summary>
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
