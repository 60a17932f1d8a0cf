using System.Globalization;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using Spectre.Console;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Publishing;
using TorchBridge.Scale.Work;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.CommandLine;

namespace TorchBridge.Training.Jobs;

/// <summary>Has the items of a job done, on this machine or by a cluster, and reports the progress.</summary>
internal static class JobRunner
{
    /// <summary>Does the missing items.</summary>
    /// <param name="console">Console for progress.</param>
    /// <param name="folder">The job's folder.</param>
    /// <param name="shared">How it is run on a cluster.</param>
    /// <param name="finished">Called whenever there is progress, and once more at the end.</param>
    /// <param name="stop">Cancels the job.</param>
    /// <returns>The program's exit code.</returns>
    public static int Run(
        IAnsiConsole console,
        string folder,
        SharedRun shared,
        CancellationToken stop,
        Action? finished = null
    )
    {
        var (work, results) = JobFolder.Open(folder);
        using (work)
        {
            var done = Enumerable.Range(0, work.Count).Count(index => results.Find(work.Item(index)) is not null);
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{work.Count:N0} items, {done:N0} of them already done, in {results.Path}."
                )
            );
            if (work is SweepWork { Halving: { } halving } ladder)
                console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{ladder.Trials.Count:N0} trials of {ladder.Settings.Count:N0} settings; after "
                            + $"{string.Join(", ", ladder.Rungs.SkipLast(1))} of {ladder.Rungs[^1]} epochs, one in "
                            + $"{halving.Factor} settings continues. An item is a trial up to one of these epochs."
                    )
                );
            if (done < work.Count)
            {
                Directory.CreateDirectory(results.Path);
                var ended = Share(console, folder, work, results, shared, finished, stop).GetAwaiter().GetResult();
                results.RemoveLeftovers();
                if (ended.SetAside > 0)
                    return Told(console, ended, shared);
            }

            var found = results.Verify(work, Check(work));
            foreach (var problem in found.Problems)
                Console.Error.WriteLine(problem);
            console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{found.Done:N0} of {found.Items:N0} items are done and intact: {found.Rows:N0} rows"
                        + $"{(found.Errors > 0 ? $", {found.Errors:N0} of them with an error" : "")}."
                )
            );
            return found.Problems.Count == 0 ? 0 : ExitCodes.Failed;
        }
    }

    /// <summary>Returns a check of a job's results; null if there is nothing to check except the digest.</summary>
    public static Func<WorkItem, string, Receipt, string?>? Check(IWork work) =>
        work is ScoringWork scoring ? scoring.Problem : null;

    private static async Task<JobProgress> Share(
        IAnsiConsole console,
        string folder,
        IWork work,
        ResultFolder results,
        SharedRun shared,
        Action? finished,
        CancellationToken stop
    )
    {
        var full = Path.GetFullPath(folder);
        // If OpenTelemetry's standard variable names a collector.
        using var reporting = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT"))
            ? null
            : Sdk.CreateMeterProviderBuilder().AddMeter(JobMetrics.Name).AddOtlpExporter().Build();
        var node = await ClusterNode.Coordinate(shared.Cluster, shared.Coordinator, stop).ConfigureAwait(false);
        await using (node.ConfigureAwait(false))
        {
            var runner = shared.Parallel > 0 ? ItemChildren.Runner() : null;
            var ticket = new JobTicket
            {
                Folder = full,
                Count = work.Count,
                Held = (work as SweepWork)?.Held ?? 0,
                LeaseDuration = shared.LeaseDuration,
                MostAttempts = shared.MostAttempts,
                Program = Versions.Program,
            };
            if (runner is null)
                console.WriteLine(
                    "This process coordinates the job. Start `worker` with the same --cluster on this machine or "
                        + "others."
                );
            Task<JobProgress> Do(JobView view) =>
                JobRun.Do(
                    node.Client,
                    JobRun.KeyOf(full, JobFolder.SpecificationOf(folder)),
                    ticket,
                    runner,
                    new WorkerOptions(WorkerOptions.DefaultName, shared.Parallel, Versions.Program)
                    {
                        Say = view.Trouble,
                    },
                    view.Show,
                    work is SweepWork { Halving: not null } sweep
                        ? new SweepHalving(sweep, results, view.Say).Decide
                        : null,
                    stop
                );
            try
            {
                // Callers that are notified of each item show their own table.
                return finished is null && console.Profile.Capabilities.Interactive && !Console.IsOutputRedirected
                    ? await LiveJobView.Watch(console, Do).ConfigureAwait(false)
                    : await Do(new JobLines(console, finished)).ConfigureAwait(false);
            }
            finally
            {
                if (runner is not null)
                    await runner.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static int Told(IAnsiConsole console, JobProgress ended, SharedRun shared)
    {
        foreach (var error in ended.Errors)
            Console.Error.WriteLine(FormattableString.Invariant($"item {error.Index} was set aside: {error.Error}"));
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{ended.Done:N0} of {ended.Count:N0} items are done; {ended.SetAside:N0} failed {shared.MostAttempts} times "
                    + $"each and were set aside. Fix the cause and start again; finished items are not repeated."
            )
        );
        return ExitCodes.Failed;
    }
}
