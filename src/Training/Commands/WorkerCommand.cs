using System.CommandLine;
using Spectre.Console;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Work;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Jobs;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary><c>worker</c>: works for a cluster until it is stopped.</summary>
internal static class WorkerCommand
{
    public static Command Build()
    {
        Option<string> cluster = new("--cluster")
        {
            Description = "What `score` or `sweep` was started with.",
            Required = true,
            HelpName = "ADDRESS",
        };
        WholeOption slots = new("--slots", new AllowedAttribute(1, 256), Environment.ProcessorCount)
        {
            Description = "Items at a time, a child process of one thread each. Default: one a core.",
        };
        Option<string?> certificate = new("--certificate")
        {
            Description = "The cluster's certificate and key, as `score` or `sweep` has it.",
            HelpName = "FILE",
        };
        var command = new Command(
            "worker",
            "Work for a cluster: take items of the jobs that `score --cluster` and `sweep --cluster` have submitted, do each in "
                + "a child process, publish its result. It waits for a coordinator, and for work; Ctrl-C gives back what it is "
                + "at. A worker may die at any time: its items go to others when their leases run out.\n"
                + "Example: worker --cluster redis://host --slots 8"
        )
        {
            cluster,
            slots,
            certificate,
        };
        command.SetAction(
            (parsed, stop) =>
                CommandRunner.Run(() =>
                {
                    Work(
                            ClusterAddress.Parse(parsed.GetValue(cluster)!),
                            parsed.GetValue(certificate) is { } file ? ClusterCertificate.Read(file) : null,
                            slots.Read(parsed),
                            stop
                        )
                        .GetAwaiter()
                        .GetResult();
                    return 0;
                })
        );
        return command;
    }

    /// <summary>The command that a worker's child is started with; not for people.</summary>
    public static Command BuildServe()
    {
        var command = new Command(ItemChildren.ServeItems) { Hidden = true };
        command.SetAction(
            (_, _) =>
                CommandRunner.Run(() =>
                {
                    ItemChildren.Serve();
                    return 0;
                })
        );
        return command;
    }

    private static async Task Work(
        ClusterAddress address,
        ClusterCertificate? certificate,
        int slots,
        CancellationToken stop
    )
    {
        void Say(string line) => AnsiConsole.Console.WriteLine(line);
        var node = await ClusterNode.Connect(address, certificate, Say, stop).ConfigureAwait(false);
        await using (node.ConfigureAwait(false))
        {
            var runner = ItemChildren.Runner();
            await using (runner.ConfigureAwait(false))
            {
                Say(FormattableString.Invariant($"{WorkerOptions.DefaultName} works, {slots} items at a time."));
                var worker = new Worker(
                    node.Client,
                    runner,
                    new WorkerOptions(WorkerOptions.DefaultName, slots, Versions.Program) { Say = Say }
                );
                await worker.Run(stop).ConfigureAwait(false);
                Say(FormattableString.Invariant($"Stopped, after {worker.Done} items."));
            }
        }
    }
}
