using System.Diagnostics;
using TorchBridge.Scale.Contract;
using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests.Jobs;

/// <summary>The command <c>sweep</c>.</summary>
public class SweepTests
{
    private const string Specification = """
        { "pictures": 60, "seeds": [1, 2], "recipe": { "training": { "epochs": 1 }, "network": { "channels": 8 } },
          "grid": { "training.learning_rate": [0.001, 0.01] } }
        """;

    [Fact]
    public void Trials_one_by_one_and_by_a_clusters_workers_are_the_bytes_of_the_run_here()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["sweep.json"], Specification);
        var whole = Sweep("sweep", folder["sweep.json"], "--out", folder["whole"], "--parallel", "2");
        Assert.Contains("4 items, 0 of them already done", whole, StringComparison.Ordinal);
        Assert.Equal(3, PageCheck.StandsAlone(File.ReadAllText(folder["whole", "sweep.html"])));
        Assert.Equal(5, File.ReadAllLines(folder["whole", "sweep.csv"]).Length);

        foreach (var index in (string[])["3", "1", "0", "2"])
            Sweep("sweep", "run", folder["sweep.json"], "--out", folder["parts"], "--index", index);
        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["parts", "results"]));

        // Two workers in separate processes; the sweep is the coordinator only.
        Shared("localhost:38431", 2, cluster =>
            Sweep("sweep", folder["sweep.json"], "--out", folder["shared"], "--cluster", cluster)
        );
        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["shared", "results"]));
        Assert.Equal(File.ReadAllText(folder["whole", "sweep.csv"]), File.ReadAllText(folder["shared", "sweep.csv"]));
    }

    [Fact]
    public void Halving_ends_the_same_trials_for_any_workers_and_what_goes_to_the_end_is_as_if_alone()
    {
        const string grid = """
            "pictures": 60, "recipe": { "training": { "epochs": 4 }, "network": { "channels": 8 } },
            "grid": { "training.learning_rate": [0.00001, 0.001, 0.0001, 0.01] }
            """;
        using var folder = new TempFolder();
        File.WriteAllText(folder["all.json"], $"{{ {grid} }}");
        File.WriteAllText(folder["halving.json"], $$"""{ {{grid}}, "halving": { "epochs": 1, "factor": 2 } }""");
        var here = Sweep("sweep", folder["halving.json"], "--out", folder["here"], "--parallel", "2");
        Assert.Contains("after 1, 2 of 4 epochs, one in 2 settings continues", here, StringComparison.Ordinal);
        Assert.Contains("continues to 2 epochs after 1", here, StringComparison.Ordinal);
        Assert.Matches(
            "setting [0-3] \\(training.learning_rate [0-9.e-]+\\) ends after 1: validation accuracy [0-9.]+ %, rank [34] of 4",
            here
        );
        Assert.Empty(Directory.EnumerateFiles(folder["here", "work"])); // the checkpoints are removed with their trials
        Assert.Equal(0, TinyModel.Program("verify", folder["here"]).ExitCode);

        Shared("localhost:38432", 2, cluster =>
            Sweep("sweep", folder["halving.json"], "--out", folder["shared"], "--cluster", cluster)
        );
        Assert.Equal(Contents(folder["here", "results"]), Contents(folder["shared", "results"]));
        Assert.Equal(Contents(folder["here", "halving"]), Contents(folder["shared", "halving"]));
        Assert.Equal(File.ReadAllText(folder["here", "sweep.csv"]), File.ReadAllText(folder["shared", "sweep.csv"]));

        // Started again, the sweep repeats nothing and prints the same.
        var written = File.GetLastWriteTimeUtc(folder["here", "job.json"]);
        Sweep("sweep", folder["halving.json"], "--out", folder["here"]);
        Assert.Equal(written, File.GetLastWriteTimeUtc(folder["here", "job.json"]));

        // A trial that runs to its end gives the same result, even if others were ended early.
        Sweep("sweep", folder["all.json"], "--out", folder["all"], "--parallel", "2");
        var whole = File.ReadAllLines(folder["here", "sweep.csv"]).Skip(1).Where(line => line.EndsWith(',')).ToArray();
        Assert.NotEmpty(whole);
        Assert.All(whole, line => Assert.Contains(line, File.ReadAllLines(folder["all", "sweep.csv"])));

        // A task of a scheduler's array cannot decide which trials continue.
        Sweep("sweep", folder["halving.json"], "--out", folder["prepared"], "--prepare");
        var one = TinyModel.Program("sweep", "run", "--out", folder["prepared"], "--index", "0");
        Assert.Equal(1, one.ExitCode);
        Assert.Contains("Trial 0 cannot continue from 1 to 2 epochs yet", one.Error, StringComparison.Ordinal);
        var packaged = TinyModel.Program(
            "package",
            "--target",
            "slurm",
            "--job",
            folder["prepared"],
            "--to",
            folder["slurm"]
        );
        Assert.Equal(1, packaged.ExitCode);
        Assert.Contains("without halving", packaged.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_trial_whose_worker_was_killed_goes_on_elsewhere_to_the_same_bytes()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGKILL");
        using var folder = new TempFolder();
        File.WriteAllText(
            folder["sweep.json"],
            """
            { "pictures": 200, "recipe": { "training": { "epochs": 12 }, "network": { "channels": 8 } }, "list": [ {} ] }
            """
        );
        Sweep("sweep", folder["sweep.json"], "--out", folder["whole"], "--parallel", "1");

        const string cluster = "localhost:38433";
        Sweep("sweep", folder["sweep.json"], "--out", folder["shared"], "--prepare");
        Directory.CreateDirectory(folder["shared", "work"]);
        var begun = new TaskCompletionSource();
        using var watcher = new FileSystemWatcher(folder["shared", "work"], "*.checkpoint.safetensors");
        watcher.Renamed += (_, _) => begun.TrySetResult();
        watcher.EnableRaisingEvents = true;
        var sweep = Task.Run(() =>
            Sweep("sweep", "--out", folder["shared"], "--cluster", cluster, "--lease-seconds", "3")
        );
        using (var killed = Worker(cluster))
        {
            await begun.Task.WaitAsync(TestContext.Current.CancellationToken); // it has reached the end of its first epoch
            killed.Kill();
            await killed.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        Assert.Empty(Directory.EnumerateFiles(folder["shared", "results"], "*.json"));
        using var other = Worker(cluster);
        await sweep;
        other.Kill(entireProcessTree: true);
        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["shared", "results"]));
    }

    /// <summary>Runs an action while workers run in separate processes.</summary>
    private static void Shared(string cluster, int count, Action<string> run)
    {
        var workers = Enumerable.Range(0, count).Select(_ => Worker(cluster)).ToArray();
        try
        {
            run(cluster);
        }
        finally
        {
            foreach (var worker in workers)
            {
                worker.Kill(entireProcessTree: true);
                worker.Dispose();
            }
        }
    }

    private static Process Worker(string cluster) =>
        Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [
                    Path.Combine(AppContext.BaseDirectory, "TorchBridge.Training.dll"),
                    "worker",
                    "--cluster",
                    cluster,
                    "--slots",
                    "1",
                ]
            )
            {
                RedirectStandardInput = true,
            }
        )!;

    private static string Sweep(params string[] arguments)
    {
        var result = TinyModel.Program(arguments);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        return result.Output;
    }

    private static Dictionary<string, string> Contents(string path) =>
        Directory
            .EnumerateFiles(path)
            .ToDictionary(file => Path.GetFileName(file), ContentHash.OfFile, StringComparer.Ordinal);
}
