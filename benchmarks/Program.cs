using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using TorchBridge.Benchmarks;

if (args is [Peer.Option, var peer, .. var arguments])
{
    Console.WriteLine(string.Join(' ', Subjects.Peers[peer](arguments).Select(figure => figure.ToString("R", System.Globalization.CultureInfo.InvariantCulture))));
    return 0;
}

Argument<string> subject = new("SUBJECT") { Description = $"One of: {string.Join(", ", Subjects.All.Keys)}; or `micro` for the BenchmarkDotNet subjects." };
Option<string?> json = new("--json") { Description = "Write the figures as JSON to this file.", HelpName = "FILE" };
var root = new RootCommand("Side-by-side measurements: peers in turn, several rounds, medians.\nExample: dotnet run -c Release --project benchmarks -- export --json export.json") { subject, json };
root.SetAction(parsed =>
{
    var name = parsed.GetValue(subject)!;
    if (name == "micro")
    {
        // In process: the default toolchain would build a project that copies half a gigabyte of natives.
        BenchmarkSwitcher.FromAssembly(typeof(Subjects).Assembly).Run(["--filter", "*"], DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance)));
        return 0;
    }

    if (!Subjects.All.TryGetValue(name, out var run))
    {
        Console.Error.WriteLine($"There is no subject '{name}'; there are {string.Join(", ", Subjects.All.Keys)} and micro.");
        return 2;
    }

    run().Print(parsed.GetValue(json));
    return 0;
});
return root.Parse(args).Invoke();
