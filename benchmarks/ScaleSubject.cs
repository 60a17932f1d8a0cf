using System.Diagnostics;
using System.Globalization;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;

namespace TorchBridge.Benchmarks;

/// <summary>
/// What distributing work costs, with items that do nothing: the time per item of one worker with one slot (lease,
/// write, complete, write); items per second with 1, 2 and 4 workers; and how the coordinator's time and memory grow
/// with the size of the job. The lease state is in memory, coordinator and workers are in one process, and nothing is
/// published, so only Orleans and the lease state are measured. TORCHBRIDGE_CLUSTER=redis://… stores the lease state
/// elsewhere. <see cref="ScaleScoring"/> adds measurements with real items.
/// </summary>
internal static class ScaleSubject
{
    private const int Items = 2000;
    private const int Rounds = 5;

    /// <summary>Measures these figures and those of <see cref="ScaleScoring"/>.</summary>
    public static Measurement Run()
    {
        var measurement = new Measurement("scale");
        using (var node = Coordinator())
        {
            foreach (var workers in (int[])[1, 2, 4])
            {
                // The first round is for warming up and is not counted.
                var seconds = Enumerable
                    .Range(0, Rounds + 1)
                    .Select(round => Do(node.Value, $"{workers}-{round}", Items, workers, slots: 1))
                    .Skip(1)
                    .ToArray();
                measurement.Figure(
                    string.Create(CultureInfo.InvariantCulture, $"items/s, {workers} workers"),
                    [.. seconds.Select(taken => Items / taken)]
                );
                if (workers == 1)
                    measurement.Figure("ms an item, 1 worker", [.. seconds.Select(taken => 1000 * taken / Items)]);
            }
        }

        foreach (var count in (int[])[10_000, 100_000, 1_000_000])
        {
            using var node = Coordinator();
            Do(node.Value, "warm", 2000, 1, slots: 32);
            var before = GC.GetTotalMemory(forceFullCollection: true);
            var peak = before;
            var taken = Do(
                node.Value,
                string.Create(CultureInfo.InvariantCulture, $"{count}"),
                count,
                1,
                slots: 32,
                () => peak = Math.Max(peak, GC.GetTotalMemory(forceFullCollection: false))
            );
            var name = string.Create(CultureInfo.InvariantCulture, $"{count} items");
            measurement.Figure($"ms an item, {name}, 32 slots", 1000 * taken / count);
            measurement.Figure(
                $"bytes an item kept, {name}",
                (GC.GetTotalMemory(forceFullCollection: true) - before) / (double)count
            );
            measurement.Figure($"MB at the highest, {name}", (peak - before) / 1e6);
        }

        ScaleScoring.Measure(measurement);
        return measurement;
    }

    private static Disposable Coordinator() =>
        new(
            ClusterNode
                .Coordinate(
                    Environment.GetEnvironmentVariable("TORCHBRIDGE_CLUSTER") is { Length: > 0 } text
                        ? ClusterAddress.Parse(text)
                        : ClusterAddress.Embedded
                )
                .GetAwaiter()
                .GetResult()
        );

    private static double Do(ClusterNode node, string job, int count, int workers, int slots, Action? look = null)
    {
        var ticket = new JobTicket
        {
            Folder = job,
            Count = count,
            LeaseDuration = TimeSpan.FromHours(1),
            MostAttempts = 1,
            Program = "benchmark",
        };
        var key = $"{job}-{Environment.ProcessId}";
        var grain = node.Client.GetGrain<IJobGrain>(key);
        grain.Submit(ticket).GetAwaiter().GetResult();
        var started = Stopwatch.GetTimestamp();
        var work = Task.WhenAll(
            Enumerable
                .Range(0, workers)
                .Select(number =>
                    new Worker(
                        node.Client,
                        new NoWork(),
                        new WorkerOptions($"w{number}", slots, "benchmark")
                        {
                            Job = key,
                            Poll = TimeSpan.FromMilliseconds(1),
                        }
                    ).Run(CancellationToken.None)
                )
        );
        while (!work.Wait(100))
            look?.Invoke();
        var taken = Stopwatch.GetElapsedTime(started).TotalSeconds;
        Console.Error.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{job}: {count} items, {workers} x {slots} slots, {taken:F2} s"
            )
        );
        var progress = grain.Progress().GetAwaiter().GetResult();
        return progress.Done == count
            ? taken
            : throw new InvalidOperationException($"{progress.Done} of {count} items are done");
    }

    private sealed class NoWork : IItemRunner
    {
        public Task<string?> Run(ItemLease lease, CancellationToken stop) => Task.FromResult<string?>(null);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class Disposable(ClusterNode node) : IDisposable
    {
        public ClusterNode Value => node;

        public void Dispose() => node.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
