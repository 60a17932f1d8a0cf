using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks;

/// <summary>Kills training runs at random moments of the clock, resumes them, and compares with a run that was left alone.</summary>
internal static class SoakSubject
{
    private const int Runs = 5, KillsARun = 8;

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-soak-");
        try
        {
            // Another seed each time: the more moments a soak has seen, the better.
            var seed = Environment.TickCount;
            Console.WriteLine($"seed {seed}");
            var random = new Random(seed);
            var whole = "";
            var seconds = Measurement.Seconds(() => whole = Start(Path.Combine(folder.FullName, "whole"), Timeout.Infinite)!);
            int kills = 0, same = 0;
            for (var run = 0; run < Runs; run++)
            {
                var checkpoint = Path.Combine(folder.FullName, $"run{run}");
                for (var kill = 0; kill < KillsARun; kill++)
                {
                    // From before the first step to the end.
                    if (Start(checkpoint, (int)(1000 * seconds * (0.2 + (0.8 * random.NextDouble())))) is not null) break;
                    kills++;
                }

                if (Start(checkpoint, Timeout.Infinite) == whole) same++;
            }

            return new Measurement("soak").Figure("runs", Runs).Figure("kills", kills).Figure("runs_with_the_same_bits", same);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Trains on from a checkpoint; null where it had to be killed.</summary>
    private static string? Start(string checkpoint, int milliseconds)
    {
        var dll = Path.Combine(AppContext.BaseDirectory, "KilledTrainer.dll");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [dll, checkpoint, "never"]) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(milliseconds))
        {
            process.Kill();
            process.WaitForExit();
            return null;
        }

        if (process.ExitCode != 0) throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"the trainer ended with {process.ExitCode}"));
        return output.Result.Trim();
    }
}
