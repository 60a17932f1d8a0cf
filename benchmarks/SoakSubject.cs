using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using TorchBridge.Onnx.Files;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Packaging;

namespace TorchBridge.Benchmarks;

/// <summary>
/// Kills the program at random moments, in training, packaging, export, quantization and ablation, each time in a
/// folder with an older result. After each kill the next start must find either the complete old result or the
/// complete new one. A run that finally ends must have the same bits as a run that was never killed, and must leave
/// no temporary files.
/// </summary>
internal static partial class SoakSubject
{
    private const int Kills = 60;
    private static readonly TimeSpan OrphansMayTake = TimeSpan.FromSeconds(30);

    /// <summary>Runs the test.</summary>
    /// <param name="limit">Time after which no run is started.</param>
    public static Measurement Run(TimeSpan limit)
    {
        var folder = ProcessFiles.NewFolder("soak");
        try
        {
            // A different seed each time, so that repeated runs cover more moments.
            var seed = Environment.TickCount;
            Console.WriteLine($"seed {seed}");
            var soak = new Soak(folder.FullName, new Random(seed), limit);
            soak.Work();
            return soak.Result;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>A phase of the program in which it is killed.</summary>
    /// <param name="Name">Its name, for messages.</param>
    /// <param name="Start">The folder that each run starts from, which contains an older result.</param>
    /// <param name="Arguments">The command line that starts or continues the program in a folder.</param>
    private sealed record Phase(string Name, string Start, Func<string, string[]> Arguments)
    {
        public SortedDictionary<string, string> Before { get; } = StateOf(Start);

        public SortedDictionary<string, string> After { get; set; } = [];

        public double Seconds { get; set; }

        public int Kills { get; set; }

        public int Runs { get; set; }
    }

    private sealed class Soak(string folder, Random random, TimeSpan limit)
    {
        private readonly string temporary = Directory.CreateDirectory(Path.Combine(folder, "temporary")).FullName;
        private readonly List<Phase> phases = [];
        private int runs,
            kills,
            same,
            mixed,
            left,
            orphans;

        public Measurement Result
        {
            get
            {
                var measurement = new Measurement("soak")
                    .Figure("runs", runs)
                    .Figure("kills", kills)
                    .Figure("runs_with_the_same_bits", same)
                    .Figure("kills_that_left_a_mixture", mixed)
                    .Figure("leftovers", left)
                    .Figure("orphans", orphans);
                foreach (var phase in phases)
                    measurement.Figure($"kills_in_{phase.Name}", phase.Kills);
                return measurement;
            }
        }

        public void Work()
        {
            var started = Stopwatch.GetTimestamp();
            Prepare();
            foreach (var phase in phases)
                Reference(phase);
            for (var turn = 0; kills < Kills && Stopwatch.GetElapsedTime(started) < limit; turn++)
                UntilItEnds(phases[turn % phases.Count]);
        }

        private void Prepare()
        {
            string[] network = ["--width", "16", "--pictures", "100", "--threads", "1", "--precision", "float32"];
            string[] Train(string place) =>
                File.Exists(new ModelFolder(place).Checkpoint)
                    ? ["train", "--resume", "--out", place]
                    : ["train", .. network, "--epochs", "3", "--seed", "2", "--out", place];
            var older = Path.Combine(folder, "older");
            Whole(["train", .. network, "--epochs", "1", "--seed", "1", "--out", older]);
            Whole(["quantize", "--calibration", "32", "--draw", "1", "--sensitivity", "--out", older]);
            // Training has ended, but nothing is packaged yet.
            var trained = Copy(older, "trained");
            Start(Train(trained), Timeout.Infinite, killAt: "the best weights are those of epoch");
            var ablated = Path.Combine(folder, "ablated");
            string[] Ablate(string place, int epochs) =>
                [
                    "ablate",
                    "--only",
                    "dropout,mixup",
                    "--seeds",
                    "1",
                    "--pictures",
                    "50",
                    "--width",
                    "8",
                    "--parallel",
                    "2",
                    "--epochs",
                    epochs.ToString(CultureInfo.InvariantCulture),
                    "--out",
                    place,
                ];
            Whole(Ablate(ablated, 1));
            phases.AddRange([
                new Phase("training", older, Train),
                new Phase("packaging", trained, Train),
                // The export also removes the quantized copies of the old model.
                new Phase("export", older, place => ["export", "--activation-map", "--out", place]),
                new Phase("quantization", older, place =>
                    ["quantize", "--calibration", "32", "--draw", "2", "--out", place]
                ),
                new Phase("ablation", ablated, place => Ablate(place, 2)),
            ]);
        }

        private void Reference(Phase phase)
        {
            var place = Copy(phase.Start, $"{phase.Name}-reference");
            phase.Seconds = Measurement.Seconds(() => Whole(phase.Arguments(place)));
            phase.After = StateOf(place);
            var changed = Difference(phase.Before, phase.After).ToArray();
            if (changed.Length < 2)
                throw new InvalidOperationException(
                    $"{phase.Name} changes fewer than two files, so a mixture of old and new could not be detected"
                );
            Console.WriteLine(
                FormattableString.Invariant(
                    $"{phase.Name}: {phase.Seconds:F0} s without a kill; it changes {string.Join(", ", changed)}"
                )
            );
        }

        /// <summary>Starts one run over an older result, kills it and starts it again, until it ends before it is
        /// killed.</summary>
        private void UntilItEnds(Phase phase)
        {
            const double earliest = 0.1,
                span = 1.2;
            var place = Copy(phase.Start, $"run{runs++}");
            phase.Runs++;
            while (
                Start(phase.Arguments(place), (int)(1000 * phase.Seconds * (earliest + (span * random.NextDouble()))))
                    is null
            )
            {
                kills++;
                phase.Kills++;
                Orphans();
                // As the next start of the program does.
                FileSet.Recover(place);
                var state = StateOf(place);
                if (Difference(phase.Before, state).Any() && Difference(phase.After, state).Any())
                {
                    mixed++;
                    Console.WriteLine(
                        $"MIXTURE in {phase.Name}, {place}: different from the old result: "
                            + $"{string.Join(", ", Difference(phase.Before, state))}; different from the new result: "
                            + string.Join(", ", Difference(phase.After, state))
                    );
                }
            }

            var odd = Difference(phase.After, StateOf(place)).ToArray();
            if (odd.Length == 0)
                same++;
            else
                Console.WriteLine($"DIFFERENT BITS in {phase.Name}, {place}: {string.Join(", ", odd)}");
            string[] forgotten =
            [
                .. Directory.EnumerateFileSystemEntries(temporary).Where(IsOurs),
                .. Directory
                    .EnumerateFileSystemEntries(place, "*", SearchOption.AllDirectories)
                    .Where(path =>
                        Path.GetFileName(path).StartsWith('.') || path.EndsWith(".tmp", StringComparison.Ordinal)
                    ),
            ];
            left += forgotten.Length;
            if (forgotten.Length > 0)
                Console.WriteLine($"LEFT OVER after {phase.Name}: {string.Join(", ", forgotten)}");
            Console.WriteLine($"{kills} of {Kills} kills, {runs} runs, {same} with the same bits ({phase.Name})");
            if (odd.Length == 0)
                Directory.Delete(place, recursive: true);
        }

        /// <summary>Whether a temporary file is TorchBridge's; ONNX Runtime has a file of its own there.</summary>
        private static bool IsOurs(string path) => Path.GetFileName(path) != ".ses";

        private string Copy(string from, string name)
        {
            var place = Path.Combine(folder, name);
            foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
            {
                var target = Path.Combine(place, Path.GetRelativePath(from, file));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(file, target);
            }

            return place;
        }

        private void Whole(string[] arguments)
        {
            if (Start(arguments, Timeout.Infinite) is null)
                throw new InvalidOperationException("a run without a time limit was killed");
        }

        /// <summary>Starts the program, and kills it after a time or when it prints a text.</summary>
        /// <returns>Its output; null if it was killed.</returns>
        private string? Start(string[] arguments, int milliseconds, string? killAt = null)
        {
            using var process = Process.Start(
                new ProcessStartInfo(
                    "dotnet",
                    [Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll"), .. arguments]
                )
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                    // Without this, files of the .NET runtime that a kill leaves behind would be counted as ours.
                    Environment = { ["TMPDIR"] = temporary, ["DOTNET_EnableDiagnostics"] = "0" },
                }
            )!;
            var error = process.StandardError.ReadToEndAsync();
            var output = new StringBuilder();
            var reading = Task.Run(() =>
            {
                while (process.StandardOutput.ReadLine() is { } line)
                {
                    output.AppendLine(line);
                    if (killAt is not null && line.Contains(killAt, StringComparison.Ordinal))
                        process.Kill();
                }
            });
            if (!process.WaitForExit(milliseconds))
            {
                process.Kill();
                process.WaitForExit();
                return null;
            }

            if (killAt is not null)
                return null;
            reading.Wait();
            if (process.ExitCode != 0)
                throw new InvalidOperationException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{string.Join(' ', arguments)} ended with {process.ExitCode}: {error.Result}"
                    )
                );
            return output.ToString();
        }

        /// <summary>Counts child processes of a killed process that do not end by themselves, and ends
        /// them.</summary>
        private void Orphans()
        {
            var started = Stopwatch.GetTimestamp();
            int[] children;
            while ((children = Children()).Length > 0 && Stopwatch.GetElapsedTime(started) < OrphansMayTake)
                Thread.Sleep(100);
            orphans += children.Length;
            foreach (var child in children)
            {
                Console.WriteLine($"ORPHAN {child}");
                using var process = Process.GetProcessById(child);
                process.Kill();
            }
        }

        /// <summary>Ids of the processes whose command line contains our folder.</summary>
        private int[] Children() =>
            !OperatingSystem.IsLinux()
                ? []
                :
                [
                    .. Directory
                        .EnumerateDirectories("/proc")
                        .Select(path =>
                            int.TryParse(Path.GetFileName(path), CultureInfo.InvariantCulture, out var id) ? id : 0
                        )
                        .Where(id => id > 0 && CommandLine(id).Contains(temporary, StringComparison.Ordinal)),
                ];

        private static string CommandLine(int process)
        {
            try
            {
                return File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/cmdline"));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                return ""; // the process has ended
            }
        }
    }

    /// <summary>The state of a result: a hash of each file, without times, speeds and memory sizes, which differ from
    /// run to run.</summary>
    private static SortedDictionary<string, string> StateOf(string folder)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            var name = Path.GetFileName(file);
            // The checkpoint of an unfinished run and its lock are beside the result, but not part of it.
            if (file != new ModelFolder(folder).Checkpoint && name != RunLock.Name)
                state[name] = Path.GetExtension(name) switch
                {
                    ".zip" => Hash(Entries(file)),
                    ".json" or ".html" => Hash(
                        Encoding.UTF8.GetBytes(
                            Clock().Replace(File.ReadAllText(file).Replace(folder, "", StringComparison.Ordinal), "")
                        )
                    ),
                    _ => Hash(File.ReadAllBytes(file)),
                };
        }

        // Other folders were left by a kill, and the next start has not removed them.
        foreach (var other in Directory.EnumerateDirectories(folder).Where(path => Path.GetFileName(path) != "runs"))
            state[Path.GetFileName(other) + "/"] = "";
        return state;
    }

    private static byte[] Entries(string zip)
    {
        using var archive = ZipFile.OpenRead(zip);
        using var all = new MemoryStream();
        foreach (var entry in archive.Entries)
        {
            all.Write(Encoding.UTF8.GetBytes(entry.FullName));
            using var content = entry.Open();
            content.CopyTo(all);
        }

        return all.ToArray();
    }

    private static IEnumerable<string> Difference(
        SortedDictionary<string, string> expected,
        SortedDictionary<string, string> actual
    ) =>
        expected
            .Keys.Union(actual.Keys, StringComparer.Ordinal)
            .Where(name => expected.GetValueOrDefault(name) != actual.GetValueOrDefault(name));

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Times, speeds and memory sizes, in JSON and in the report (where speed is the last column of a
    /// table).</summary>
    [GeneratedRegex(
        "\"(?:[a-z_]*seconds?|images_per_second|resident_megabytes)\": (?:\\{[^}]*}|[^,\\n]+)"
            + "|[0-9.,]+ (?:seconds|minutes|images/s)|<td>[0-9,]+</td></tr>"
    )]
    private static partial Regex Clock();
}
