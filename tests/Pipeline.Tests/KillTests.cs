namespace TorchBridge.Pipeline.Tests;

/// <summary>A training process is killed again and again. Each time it is continued from its checkpoint, and the
/// result is the same as without kills.</summary>
public class KillTests
{
    private const int Kills = 10,
        Seed = 20261123,
        SigKill = 137;
    private static readonly string Trainer = Path.Combine(Run.OutputOf("tests", "KilledTrainer"), "KilledTrainer.dll");

    [Fact]
    public void A_run_killed_at_ten_points_ends_with_the_bits_of_one_that_was_left_alone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        using var folder = new TempFolder();
        var whole = Run.Program(Trainer, [folder["whole"], "never"]);
        Assert.Equal(0, whole.ExitCode);

        var random = new Random(Seed);
        var resumable = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            // The run has 6 epochs of 3 steps. A kill costs at most one epoch, so each process that may make 4 steps
            // completes at least one.
            string[] point = random.Next(2) == 0 ? ["step", $"{random.Next(1, 5)}"] : ["rename", "1"];
            var killed = Run.Program(Trainer, [folder["killed"], .. point]);
            Assert.True(
                killed.ExitCode == SigKill,
                $"kill {kill} ({string.Join(' ', point)}) ended with {killed.ExitCode}: {killed.Error}"
            );
            Assert.Equal("", killed.Output);
            if (File.Exists(folder["killed"]))
                resumable++;
        }

        Assert.InRange(resumable, 1, Kills);
        var resumed = Run.Program(Trainer, [folder["killed"], "never"]);
        Assert.Equal((0, whole.Output), (resumed.ExitCode, resumed.Output));
        Assert.Equal(["killed", "whole"], folder.Files); // and nothing half-written is left
        Assert.Equal(64, whole.Output.Trim().Length);
    }
}
