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

/// <summary>The <c>worker</c> command: works for a cluster until it is stopped.</summary>
internal static class WorkerCommand
{
    public static Command Build()
    {
        Option<string> cluster = new("--cluster")
        {
            Description = "The value of --cluster with which `score` or `sweep` was started.",
            Required = true,
            HelpName = "ADDRESS",
        };
        WholeOption slots = new("--slots", new AllowedAttribute(1, 256), Environment.ProcessorCount)
        {
            Description =
                "Number of items to work on at a time, each in a child process with one thread. "
                + "Default: one per core.",
        };
        Option<string?> certificate = new("--certificate")
        {
            Description = "The cluster's certificate and key, the same file as for `score` or `sweep`.",
            HelpName = "FILE",
        };
        var command = new Command(
            "worker",
            "Work for a cluster: take items of jobs submitted by `score --cluster` and `sweep --cluster`, do each in "
                + "a child process, and publish the result. It waits for a coordinator and for work; Ctrl-C "
                + "returns the items it is "
                + "working on. A worker may die at any time: its items are given to others when their leases "
                + "expire.\n"
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

    /// <summary>The internal command that runs a worker's child process.</summary>
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
                Say(
                    FormattableString.Invariant(
                        $"{WorkerOptions.DefaultName} is working on up to {slots} items at a time."
                    )
                );
                var worker = new Worker(
                    node.Client,
                    runner,
                    new WorkerOptions(WorkerOptions.DefaultName, slots, Versions.Program) { Say = Say }
                );
                await worker.Run(stop).ConfigureAwait(false);
                Say(FormattableString.Invariant($"Stopped after {worker.Done} items."));
            }
        }
    }
}
