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

/// <summary>Has the items of a job's folder done, here or by a cluster, and tells how far it is.</summary>
internal static class JobRunner
{
    /// <summary>Does what is missing.</summary>
    /// <param name="console">For progress.</param>
    /// <param name="folder">The job's folder.</param>
    /// <param name="shared">How it is shared.</param>
    /// <param name="finished">Hears of progress, once more at the end.</param>
    /// <param name="stop">Ends it.</param>
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
                    $"{work.Count:N0} items, {done:N0} of them done before, in {results.Path}."
                )
            );
            if (done < work.Count)
            {
                Directory.CreateDirectory(results.Path);
                var ended = Share(console, folder, work.Count, shared, finished, stop).GetAwaiter().GetResult();
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
                    $"{found.Done:N0} of {found.Items:N0} items are done and whole: {found.Rows:N0} rows"
                        + $"{(found.Errors > 0 ? $", {found.Errors:N0} of them with an error" : "")}."
                )
            );
            return found.Problems.Count == 0 ? 0 : ExitCodes.Failed;
        }
    }

    /// <summary>Looks into a job's results; null where there is nothing to look at but the digest.</summary>
    public static Func<WorkItem, string, Receipt, string?>? Check(IWork work) =>
        work is ScoringWork scoring ? scoring.Problem : null;

    private static async Task<JobProgress> Share(
        IAnsiConsole console,
        string folder,
        int count,
        SharedRun shared,
        Action? finished,
        CancellationToken stop
    )
    {
        var full = Path.GetFullPath(folder);
        // Where OpenTelemetry's own variable names a collector.
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
                Count = count,
                LeaseDuration = shared.LeaseDuration,
                MostAttempts = shared.MostAttempts,
                Program = Versions.Program,
            };
            if (runner is null)
                console.WriteLine(
                    "This process keeps the books. Start `worker` with the same --cluster, on this machine or others."
                );
            var shown = -1;
            try
            {
                return await JobRun
                    .Do(
                        node.Client,
                        JobRun.KeyOf(full, JobFolder.SpecificationOf(folder)),
                        ticket,
                        runner,
                        new WorkerOptions(WorkerOptions.DefaultName, shared.Parallel, Versions.Program)
                        {
                            Say = line => Console.Error.WriteLine(line),
                        },
                        progress =>
                        {
                            if (progress.Done + progress.SetAside == shown)
                                return;
                            shown = progress.Done + progress.SetAside;
                            console.WriteLine(Line(progress));
                            finished?.Invoke();
                        },
                        stop
                    )
                    .ConfigureAwait(false);
            }
            finally
            {
                if (runner is not null)
                    await runner.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static string Line(JobProgress progress) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{progress.Done, 6:N0} of {progress.Count:N0} done, {progress.Leased:N0} at work"
                + $"{(progress.SetAside > 0 ? $", {progress.SetAside:N0} set aside" : "")}"
        );

    private static int Told(IAnsiConsole console, JobProgress ended, SharedRun shared)
    {
        foreach (var error in ended.Errors)
            Console.Error.WriteLine(FormattableString.Invariant($"item {error.Index} was set aside: {error.Error}"));
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{ended.Done:N0} of {ended.Count:N0} items are done; {ended.SetAside:N0} failed {shared.MostAttempts} times "
                    + $"each and were set aside. Mend the cause and start again: what is done is not repeated."
            )
        );
        return ExitCodes.Failed;
    }
}
