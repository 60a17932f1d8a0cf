using System.Diagnostics;
using System.Globalization;

namespace TorchBridge.Benchmarks;

/// <summary>Kills training runs at random moments of the clock, resumes them, and compares with a run that was left
/// alone.</summary>
internal static class SoakSubject
{
    private const int Kills = 60;

    public static Measurement Run()
    {
        var folder = Directory.CreateTempSubdirectory("torchbridge-soak-");
        try
        {
            // Another seed each time: the more moments a soak has seen, the better.
            var seed = Environment.TickCount;
            Console.WriteLine($"seed {seed}");
            var random = new Random(seed);
            string Whole(string name) => Start(Path.Combine(folder.FullName, name), Timeout.Infinite)!;
            var whole = Whole("first");
            // The second time everything is in the file cache, as for the runs to come.
            var seconds = Measurement.Seconds(() => Whole("second"));
            int runs = 0,
                kills = 0,
                same = 0;
            while (kills < Kills)
            {
                var checkpoint = Path.Combine(folder.FullName, $"run{runs++}");
                string? hash;
                // From before the first step to after the end: it goes on until it ends before its kill.
                while ((hash = Start(checkpoint, (int)(1000 * seconds * (0.3 + (0.8 * random.NextDouble()))))) is null)
                    kills++;
                if (hash == whole)
                    same++;
                Console.WriteLine($"{kills} of {Kills} kills, {runs} runs, {same} with the same bits");
            }

            return new Measurement("soak")
                .Figure("runs", runs)
                .Figure("kills", kills)
                .Figure("runs_with_the_same_bits", same);
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
        using var process = Process.Start(
            new ProcessStartInfo("dotnet", [dll, checkpoint, "never"]) { RedirectStandardOutput = true }
        )!;
        var output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(milliseconds))
        {
            process.Kill();
            process.WaitForExit();
            return null;
        }

        if (process.ExitCode != 0)
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"the trainer ended with {process.ExitCode}")
            );
        return output.Result.Trim();
    }
}
