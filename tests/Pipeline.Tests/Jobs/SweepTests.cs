using System.Diagnostics;
using TorchBridge.Scale.Contract;
using TorchBridge.Testing;

namespace TorchBridge.Pipeline.Tests.Jobs;

/// <summary><c>sweep</c> as a program.</summary>
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
        Assert.Contains("4 items, 0 of them done before", whole, StringComparison.Ordinal);
        Assert.Equal(1, PageCheck.StandsAlone(File.ReadAllText(folder["whole", "sweep.html"])));
        Assert.Equal(5, File.ReadAllLines(folder["whole", "sweep.csv"]).Length);

        foreach (var index in (string[])["3", "1", "0", "2"])
            Sweep("sweep", "run", folder["sweep.json"], "--out", folder["parts"], "--index", index);
        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["parts", "results"]));

        // Two workers in processes of their own; the sweep keeps the books.
        const string cluster = "localhost:38431";
        Process[] workers = [Worker(cluster), Worker(cluster)];
        try
        {
            Sweep("sweep", folder["sweep.json"], "--out", folder["shared"], "--cluster", cluster);
        }
        finally
        {
            foreach (var worker in workers)
            {
                worker.Kill(entireProcessTree: true);
                worker.Dispose();
            }
        }

        Assert.Equal(Contents(folder["whole", "results"]), Contents(folder["shared", "results"]));
        Assert.Equal(File.ReadAllText(folder["whole", "sweep.csv"]), File.ReadAllText(folder["shared", "sweep.csv"]));
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
