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
/// Kills the program at random moments of the clock, in training, packaging, export, quantization and ablation, each
/// time over an older result. After each kill the next start must find the whole old result or the whole new one; who
/// is let go on in the end must have the bits of a run that was left alone, and nothing may be left over.
/// </summary>
internal static partial class SoakSubject
{
    private const int Kills = 60;
    private static readonly TimeSpan OrphansMayTake = TimeSpan.FromSeconds(30);

    /// <summary>Runs it.</summary>
    /// <param name="limit">No run begins after this time.</param>
    public static Measurement Run(TimeSpan limit)
    {
        var folder = ProcessFiles.NewFolder("soak");
        try
        {
            // Another seed each time: the more moments a soak has seen, the better.
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

    /// <summary>A place of the program to be killed in.</summary>
    /// <param name="Name">For people.</param>
    /// <param name="Start">The folder that it begins with, which holds an older result.</param>
    /// <param name="Arguments">The command line that goes on in a folder, or begins.</param>
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
            // All is trained, and nothing is packaged.
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
                // The quantized copies go with the model that they were made of.
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
                throw new InvalidOperationException($"{phase.Name} changes nothing that could be mixed");
            Console.WriteLine(
                FormattableString.Invariant(
                    $"{phase.Name}: {phase.Seconds:F0} s alone; it changes {string.Join(", ", changed)}"
                )
            );
        }

        /// <summary>One run over an older result, that is killed until it ends before its kill.</summary>
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
                // As the next start does.
                FileSet.Recover(place);
                var state = StateOf(place);
                if (Difference(phase.Before, state).Any() && Difference(phase.After, state).Any())
                {
                    mixed++;
                    Console.WriteLine(
                        $"MIXED in {phase.Name}, {place}: other than before {string.Join(", ", Difference(phase.Before, state))}; "
                            + $"other than after {string.Join(", ", Difference(phase.After, state))}"
                    );
                }
            }

            var odd = Difference(phase.After, StateOf(place)).ToArray();
            if (odd.Length == 0)
                same++;
            else
                Console.WriteLine($"OTHER BITS in {phase.Name}, {place}: {string.Join(", ", odd)}");
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

        /// <summary>ONNX Runtime keeps a file of its own there.</summary>
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
                throw new InvalidOperationException("nobody killed it");
        }

        /// <summary>Starts the program; null where it had to be killed.</summary>
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
                    // The runtime's own files, which a kill leaves too, would be taken for ours.
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

        /// <summary>Children of what was killed must end by themselves.</summary>
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

        /// <summary>Processes whose command line names our folder.</summary>
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
                return ""; // it is gone
            }
        }
    }

    /// <summary>What a result says, file by file: its bytes, without what a clock has written.</summary>
    private static SortedDictionary<string, string> StateOf(string folder)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            var name = Path.GetFileName(file);
            // An unfinished run and its lock lie beside the result, and are no part of it.
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

        // Left by a kill, and not finished by the next start.
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

    /// <summary>Times, speeds and memory in JSON and in the report, where speed is a table's last column.</summary>
    [GeneratedRegex(
        "\"(?:[a-z_]*seconds?|images_per_second|resident_megabytes)\": (?:\\{[^}]*}|[^,\\n]+)"
            + "|[0-9.,]+ (?:seconds|minutes|images/s)|<td>[0-9,]+</td></tr>"
    )]
    private static partial Regex Clock();
}
