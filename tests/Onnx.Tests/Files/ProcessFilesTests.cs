using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Onnx.Tests.Files;

/// <summary>Temporary files of processes that are gone are removed, and nobody else's.</summary>
public partial class ProcessFilesTests
{
    [Fact]
    public void What_dead_processes_have_left_goes_and_what_living_ones_use_stays()
    {
        using var folder = new TempFolder();
        var mine = Path.GetFileName(ProcessFiles.NewPath("mine", ".onnx"));
        var (process, start, space) = Parts(mine);
        Assert.Equal(Environment.ProcessId, process);
        Assert.Equal(ProcessFiles.StartOf(process), start);
        var dead = DeadProcess();
        string[] stay =

            [
                mine,
                Name("other", process, 0, space), // a system that did not tell
                Name("elsewhere", dead, 77, "1"), // another container's
                "torchbridge-5f3a.onnx",
                $"torchbridge-A-{dead}-77-{space}-x",
                $"torchbridge-test-{dead}-77",
                $"notours-{dead}-77-{space}-x",
                $"torchbridge-x-99999999999-77-{space}-x",
            ],
            go =

            [
                Name("onnx", dead, 77, space),
                Name("onnx", process, start + 1, space), // the number was given anew
                Name("onnx", process, start - 1, space),
            ];
        foreach (var name in stay.Concat(go))
            File.WriteAllText(folder[name], "x");
        Directory.CreateDirectory(folder[Name("folder", dead, 77, space), "in", "it"]);
        File.WriteAllText(folder[Name("folder", dead, 77, space), "in", "file"], "x");
        Directory.CreateDirectory(folder[Name("folder", process, start, space)]);

        ProcessFiles.RemoveAbandoned(folder.Path);

        Assert.Equal(
            stay.Append(Name("folder", process, start, space)).Order(StringComparer.Ordinal),
            Directory
                .EnumerateFileSystemEntries(folder.Path)
                .Select(path => Path.GetFileName(path))
                .Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void A_link_goes_and_what_it_leads_to_stays()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need rights there");
        using var folder = new TempFolder();
        var (_, _, space) = Parts(Path.GetFileName(ProcessFiles.NewPath("mine", "")));
        Directory.CreateDirectory(folder["kept"]);
        File.WriteAllText(folder["kept", "file"], "x");
        Directory.CreateSymbolicLink(folder[Name("link", DeadProcess(), 77, space)], folder["kept"]);
        ProcessFiles.RemoveAbandoned(folder.Path);
        Assert.Equal(
            ["kept"],
            Directory.EnumerateFileSystemEntries(folder.Path).Select(path => Path.GetFileName(path))
        );
        Assert.True(File.Exists(folder["kept", "file"]));
    }

    [Fact]
    public void A_folder_that_is_missing_is_no_fault()
    {
        using var folder = new TempFolder();
        ProcessFiles.RemoveAbandoned(folder["missing"]);
    }

    [Fact]
    public void A_new_folder_is_there_under_a_name_that_tells_its_owner()
    {
        var folder = ProcessFiles.NewFolder("purpose");
        try
        {
            Assert.True(folder.Exists);
            Assert.StartsWith("torchbridge-purpose-", folder.Name, StringComparison.Ordinal);
            Assert.Equal(Environment.ProcessId, Parts(folder.Name).Process);
            ProcessFiles.RemoveAbandoned();
            folder.Refresh();
            Assert.True(folder.Exists);
        }
        finally
        {
            folder.Delete();
        }
    }

    private static string Name(string purpose, int process, long start, string space) =>
        string.Create(CultureInfo.InvariantCulture, $"torchbridge-{purpose}-{process}-{start}-{space}-x");

    private static int DeadProcess()
    {
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", ["--version"]) { RedirectStandardOutput = true }
        )!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Null(ProcessFiles.StartOf(process.Id));
        return process.Id;
    }

    private static (int Process, long Start, string Space) Parts(string name)
    {
        var match = Owned().Match(name);
        Assert.True(match.Success, name);
        return (
            int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture),
            long.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture),
            match.Groups[3].Value
        );
    }

    [GeneratedRegex("^torchbridge-[a-z]+-([0-9]+)-([0-9]+)-([0-9]+)-")]
    private static partial Regex Owned();
}
