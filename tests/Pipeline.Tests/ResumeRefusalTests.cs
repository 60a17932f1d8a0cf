using System.Diagnostics;
using System.Text.Json;
using SkiaSharp;

namespace TorchBridge.Pipeline.Tests;

/// <summary>Resuming after something has changed since the run began, and after a run was stopped or
/// killed.</summary>
public class ResumeRefusalTests
{
    [Fact]
    public void A_stopped_run_goes_on_with_its_own_options_and_pictures_only()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGINT to send");
        using var folder = new TempFolder();
        WriteClasses(folder["data"], 30);
        Stop(folder);
        var files = Files(folder);
        Assert.Contains("modern-cnn.checkpoint.safetensors", files);
        Assert.Contains("modern-cnn.safetensors", files);
        Assert.DoesNotContain(files, file => file.StartsWith('.'));

        Refused("epochs is 3, but was 100000", "--epochs", "3");
        Refused("learning_rate is 0.5, but was 0.001", "--lr", "0.5");
        Refused("--seed is 9, but was 4", "--seed", "9");
        Refused("--size is 24, but was 16", "--size", "24");
        Refused("--data is other, but was", "--data", "other");
        Refused("label_smoothing is 0, but was 0.1", "--recipe", "bare");
        Refused("norm is group, but was batch", "--norm", "group");

        File.WriteAllBytes(folder["data", "a", "more.png"], Picture(999));
        Refused("pictures in");
        Refused("part has");
        File.Delete(folder["data", "a", "more.png"]);
        var bytes = File.ReadAllBytes(folder["data", "a", "000.png"]);
        File.WriteAllBytes(folder["data", "a", "000.png"], Picture(999));
        Refused("have other content");
        var evaluate = TinyModel.Program("evaluate", "--out", folder["models"]);
        Assert.Equal(1, evaluate.ExitCode);
        Assert.Contains("have other content", evaluate.Error, StringComparison.Ordinal);
        Assert.Equal(0, TinyModel.Program("evaluate", "--out", folder["models"], "--data", folder["data"]).ExitCode);
        File.WriteAllBytes(folder["data", "a", "000.png"], bytes);

        // The model that export makes from the weights has the history of the run that trained them.
        Assert.Equal((0, ""), Result(TinyModel.Program("export", "--out", folder["models"])));
        var card = JsonDocument.Parse(File.ReadAllText(folder["models", "modern-cnn.card.json"])).RootElement;
        Assert.Equal("stopped by the user", card.GetProperty("training").GetProperty("ending").GetString());
        var run = card.GetProperty("run").GetString()!;
        Assert.Equal(16, run.Length);
        foreach (var file in (string[])["modern-cnn.report.html", "modern-cnn.curves.svg"])
            Assert.Contains($"Run {run}", File.ReadAllText(folder["models", file]), StringComparison.Ordinal);
        Assert.Equal(files, Files(folder).Intersect(files));

        // The run is stopped again: the finished model stays complete.
        var before = Snapshot(folder);
        Stop(folder, "--resume");
        Assert.Equal(before, Snapshot(folder));

        void Refused(string message, params string[] arguments)
        {
            var result = TinyModel.Program(["train", "--resume", "--out", folder["models"], .. arguments]);
            Assert.Equal(1, result.ExitCode);
            Assert.Contains(message, result.Error, StringComparison.Ordinal);
            Assert.Single(result.Error.Trim().Split('\n'));
            Assert.Equal(files, Files(folder));
        }
    }

    [Fact]
    public void An_export_tells_no_other_runs_history()
    {
        using var folder = new TempFolder();
        WriteClasses(folder["data"], 12);
        foreach (var (name, seed) in ((string, string)[])[("one", "1"), ("two", "2")])
            Assert.Equal(
                (0, ""),
                Result(TinyModel.Program([.. Small(folder), "--epochs", seed, "--seed", seed, "--out", folder[name]]))
            );
        File.Copy(folder["two", "modern-cnn.safetensors"], folder["one", "modern-cnn.safetensors"], overwrite: true);
        Assert.Equal((0, ""), Result(TinyModel.Program("export", "--out", folder["one"])));
        var card = JsonDocument.Parse(File.ReadAllText(folder["one", "modern-cnn.card.json"])).RootElement;
        Assert.False(card.TryGetProperty("training", out _));
        Assert.False(File.Exists(folder["one", "modern-cnn.report.html"]));
        Assert.False(File.Exists(folder["one", "modern-cnn.curves.svg"]));

        // The model's own card is accepted.
        File.Copy(folder["two", "modern-cnn.card.json"], folder["one", "modern-cnn.card.json"], overwrite: true);
        Assert.Equal((0, ""), Result(TinyModel.Program("export", "--out", folder["one"])));
        card = JsonDocument.Parse(File.ReadAllText(folder["one", "modern-cnn.card.json"])).RootElement;
        Assert.Equal(2, card.GetProperty("training").GetProperty("history").GetArrayLength());
        Assert.True(File.Exists(folder["one", "modern-cnn.report.html"]));
        File.WriteAllText(folder["one", "modern-cnn.card.json"], "[]");
        Assert.Equal((0, ""), Result(TinyModel.Program("export", "--out", folder["one"])));
    }

    [Fact]
    public void A_second_run_in_the_same_folder_is_refused_while_the_first_lives_and_not_after_its_death()
    {
        using var folder = new TempFolder();
        WriteClasses(folder["data"], 12);
        using var first = Start(folder);
        WaitForCheckpoint(folder, first);
        foreach (
            var arguments in (string[][])
                [
                    [.. Small(folder), "--epochs", "1"],
                    ["export"],
                    ["quantize"],
                ]
        )
        {
            var second = TinyModel.Program([.. arguments, "--out", folder["models"]]);
            Assert.NotEqual(0, second.ExitCode);
            if (arguments.Length > 1)
                Assert.Contains("another run is using this folder", second.Error, StringComparison.Ordinal);
        }

        first.Kill();
        first.WaitForExit();
        Assert.Equal(
            (0, ""),
            Result(TinyModel.Program([.. Small(folder), "--epochs", "1", "--out", folder["models"]]))
        );
        Assert.DoesNotContain(Files(folder), file =>
            file.StartsWith('.') || file.EndsWith(".tmp", StringComparison.Ordinal)
        );
    }

    private static string[] Small(TempFolder folder) =>
        ["train", "--data", folder["data"], "--size", "16", "--width", "8", "--batch", "8", "--threads", "1"];

    /// <summary>Trains until there is a checkpoint, and then stops the program as with Ctrl-C.</summary>
    private static void Stop(TempFolder folder, params string[] arguments)
    {
        using var process = Start(folder, arguments);
        WaitForCheckpoint(folder, process);
        using (var kill = Process.Start("kill", [StopSignal(), $"{process.Id}"]))
            kill.WaitForExit();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(130, process.ExitCode);
        Assert.StartsWith("Stopping at the next safe point", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    /// <summary>The signal that Ctrl-C sends, or SIGTERM if that signal is ignored, as it is in the child processes
    /// of a background job.</summary>
    private static string StopSignal()
    {
        const string status = "/proc/self/status";
        const ulong interrupt = 1 << 1;
        if (!File.Exists(status))
            return "-INT";
        var ignored = File.ReadLines(status).First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal))[7..];
        return (Convert.ToUInt64(ignored.Trim(), 16) & interrupt) == 0 ? "-INT" : "-TERM";
    }

    private static Process Start(TempFolder folder, params string[] arguments)
    {
        var dll = Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll");
        string[] all =
            arguments.Length > 0
                ? ["train", .. arguments]
                :
                [
                    .. Small(folder),
                    "--epochs",
                    "100000",
                    "--patience",
                    "0", // it is stopped from outside
                    "--lr",
                    "0.001",
                    "--seed",
                    "4",
                    "--mixup",
                    "0.2",
                ];
        return Process.Start(
            new ProcessStartInfo("dotnet", [dll, .. all, "--out", folder["models"]])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
    }

    /// <summary>Waits until an epoch is reported; its checkpoint is then written.</summary>
    private static void WaitForCheckpoint(TempFolder folder, Process process)
    {
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (line.StartsWith("epoch", StringComparison.Ordinal))
            {
                _ = process.StandardOutput.ReadToEndAsync();
                return;
            }
        }

        Assert.Fail(process.StandardError.ReadToEnd());
    }

    private static (int ExitCode, string Error) Result(RunResult result) => (result.ExitCode, result.Error);

    private static string[] Files(TempFolder folder) =>
        [
            .. Directory
                .EnumerateFileSystemEntries(folder["models"])
                .Select(file => Path.GetFileName(file))
                .Order(StringComparer.Ordinal),
        ];

    private static Dictionary<string, string> Snapshot(TempFolder folder) =>
        Directory
            .EnumerateFiles(folder["models"])
            .Where(file => !file.Contains("checkpoint", StringComparison.Ordinal))
            .ToDictionary(
                file => Path.GetFileName(file),
                file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))
            );

    private static byte[] Picture(int seed) => TestPictures.Encode(16, 16, SKEncodedImageFormat.Png, seed: seed);

    private static void WriteClasses(string root, int count)
    {
        foreach (var (name, seed) in ((string, int)[])[("a", 1), ("b", 90)])
        {
            Directory.CreateDirectory(Path.Combine(root, name));
            for (var i = 0; i < count; i++)
                File.WriteAllBytes(Path.Combine(root, name, $"{i:D3}.png"), Picture(seed + i));
        }
    }
}
