namespace TorchBridge.Pipeline.Tests;

/// <summary>If the machine lacks something (disk space, permissions, memory), the message is one paragraph, and no
/// half-written file is left.</summary>
public class MachineTests
{
    private static readonly string[] Train = ["train", "--width", "8", "--pictures", "100", "--epochs", "1"];

    [Fact]
    public void A_missing_folder_for_temporary_files_is_told_before_anything_is_trained()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "it is another variable there");
        using var folder = new TempFolder();
        // A file cannot contain a folder, even for root.
        File.WriteAllText(folder["file"], "");
        Refused(
            Start(folder, [.. Train], ("TMPDIR", folder["file", "tmp"])),
            "The folder for temporary files",
            "TMPDIR"
        );
        Assert.Equal(["file"], folder.Files);
    }

    [Fact]
    public void A_home_that_cannot_be_written_is_no_obstacle()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "there is no cache there");
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "");
        var result = Start(folder, [.. Train], ("HOME", folder["file"]), ("XDG_CACHE_HOME", folder["file"]));
        // ONNX Runtime prints its own warning about this.
        Assert.True(result.ExitCode == 0, result.Error);
    }

    [Theory]
    [InlineData("size=200k")]
    [InlineData("size=1400k")]
    [InlineData("size=100m,nr_inodes=6")]
    public void A_full_disk_is_told_and_leaves_nothing_half_written(string limit)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Run.IsInstalled("mount"), "there is no tmpfs");
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["disk"]);
        var mount = Run.Command("mount", ["-t", "tmpfs", "-o", limit, "tmpfs", folder["disk"]]);
        Assert.SkipWhen(mount.ExitCode != 0, "only root may mount a small disk");
        try
        {
            Refused(Start(folder, [.. Train], "disk"), "cannot be written", "No space left");
            Assert.All(Directory.EnumerateFileSystemEntries(folder["disk", "models"]), file =>
                Assert.EndsWith(".checkpoint.safetensors", file, StringComparison.Ordinal)
            );
        }
        finally
        {
            Run.Command("umount", [folder["disk"]]);
        }
    }

    [Fact]
    public void Too_little_address_space_is_told()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "there is no such limit");
        using var folder = new TempFolder();
        var dll = Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll");
        Refused(
            Run.Command("bash", ["-c", $"ulimit -v 6000000; dotnet '{dll}' train --out '{folder["models"]}'"]),
            "The address space of this process is limited to 6,144,000,000 bytes"
        );
    }

    private static RunResult Start(
        TempFolder folder,
        string[] arguments,
        params (string Name, string Value)[] variables
    ) =>
        Run.Program(
            Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll"),
            [.. arguments, "--out", folder["models"]],
            environment: variables.ToDictionary(pair => pair.Name, pair => pair.Value)
        );

    private static RunResult Start(TempFolder folder, string[] arguments, string disk) =>
        Run.Program(
            Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll"),
            [.. arguments, "--out", folder[disk, "models"]]
        );

    private static void Refused(RunResult result, params string[] messages)
    {
        Assert.Equal(1, result.ExitCode);
        Assert.All(messages, message => Assert.Contains(message, result.Error, StringComparison.Ordinal));
        Assert.Single(result.Error.Trim().Split('\n'));
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }
}
