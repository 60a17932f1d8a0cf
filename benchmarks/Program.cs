using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Spectre.Console;
using TorchBridge.Benchmarks;
using TorchBridge.Benchmarks.Fuzzing;

if (args is [FuzzChild.Option, .. var fuzzed])
{
    FuzzChild.Run(fuzzed);
    return 0;
}

if (args is [Peer.Option, var peer, .. var arguments])
{
    Console.WriteLine(
        string.Join(
            ' ',
            Subjects
                .Peers[peer](arguments)
                .Select(figure => figure.ToString("R", System.Globalization.CultureInfo.InvariantCulture))
        )
    );
    return 0;
}

if (Console.IsOutputRedirected)
    AnsiConsole.Profile.Width = 1000; // a file has no width; 80 columns would break the tables

Argument<string> subject = new("SUBJECT")
{
    Description =
        $"What to measure: {string.Join(", ", Subjects.All.Keys)}; `micro` for the BenchmarkDotNet subjects; or one of "
        + "`fuzz`, `generate`, `legal-models`, `soak` and `style`.",
};
Argument<string?> door = new("DOOR")
{
    Description =
        $"With fuzz, one entry point: {string.Join(", ", FuzzDoors.All.Keys)}; with generate, one generator: "
        + $"{string.Join(", ", GenerateSubject.All.Keys)}. Default: all.",
    Arity = ArgumentArity.ZeroOrOne,
};
Option<double> minutes = new("--minutes")
{
    Description = "With fuzz: minutes for all entry points together. With soak: minutes after which no run is started.",
    DefaultValueFactory = _ => 10,
};
Option<int> inputs = new("--inputs")
{
    Description = "With fuzz and generate: the most inputs per entry point, or cases per generator.",
    DefaultValueFactory = _ => int.MaxValue,
};
Option<int> seed = new("--seed")
{
    Description = "With fuzz: the seed of the inputs. With generate: the number of the first case.",
    DefaultValueFactory = _ => 1,
};
Option<string> kept = new("--kept")
{
    Description = "With fuzz: the folder in which failing inputs are kept.",
    DefaultValueFactory = _ => Path.Combine(Path.GetTempPath(), "torchbridge-fuzz"),
};
Option<string?> json = new("--json") { Description = "Write the figures as JSON to this file.", HelpName = "FILE" };
var root = new RootCommand(
    "Measures TorchBridge side by side with alternatives: in turn, in several rounds; prints medians and their spread.\n"
        + "Example: dotnet run -c Release --project benchmarks -- export --json export.json"
)
{
    subject,
    door,
    json,
    minutes,
    inputs,
    seed,
    kept,
};
root.SetAction(parsed =>
{
    var name = parsed.GetValue(subject)!;
    if (name == "micro")
    {
        // In process, because the default toolchain would build a project with half a gigabyte of native libraries.
        BenchmarkSwitcher
            .FromAssembly(typeof(Subjects).Assembly)
            .Run(
                ["--filter", "*"],
                DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance))
            );
        return 0;
    }

    if (name == "fuzz")
        return FuzzSubject.Run(
            parsed.GetValue(door),
            parsed.GetValue(minutes),
            parsed.GetValue(inputs),
            parsed.GetValue(seed),
            parsed.GetValue(kept)!
        );
    if (name == "generate")
        return GenerateSubject.Run(parsed.GetValue(door), parsed.GetValue(inputs), parsed.GetValue(seed));
    if (name == "soak")
    {
        SoakSubject.Run(TimeSpan.FromMinutes(parsed.GetValue(minutes))).Print(parsed.GetValue(json));
        return 0;
    }

    if (name == "legal-models")
        return LegalModelsSubject.Run();
    if (name == "style")
        return StyleSubject.Run();
    if (!Subjects.All.TryGetValue(name, out var run))
    {
        Console.Error.WriteLine(
            $"There is no subject '{name}'. The subjects are {string.Join(", ", Subjects.All.Keys)}, micro, fuzz, "
                + "generate, legal-models, soak and style."
        );
        return 2;
    }

    run().Print(parsed.GetValue(json));
    return 0;
});
return root.Parse(args).Invoke();
