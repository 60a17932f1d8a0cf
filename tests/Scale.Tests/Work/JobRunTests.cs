using System.Diagnostics.Metrics;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

public class JobRunTests
{
    [Fact]
    public async Task A_job_runs_to_its_end_and_a_second_submission_repeats_nothing()
    {
        // More than two segments.
        using var job = new TestJob((2 * Segments.Size) + 10);
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            stop: TestContext.Current.CancellationToken
        );
        await using var runner = new DirectRunner();
        var seen = new List<JobProgress>();
        var states = new HashSet<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Meter.Name == JobMetrics.Name)
                    listening.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>(
            (_, count, tags, _) =>
            {
                foreach (var tag in tags)
                    if (tag.Key == "state")
                        states.Add($"{tag.Value} {count}");
            }
        );
        listener.Start();
        var ended = await job.Run(node, runner, slots: 4, progress =>
        {
            seen.Add(progress);
            listener.RecordObservableInstruments();
        });
        Assert.Equal((job.Count, job.Count, 0), (ended.Count, ended.Done, ended.SetAside));
        Assert.Equal(job.Count, runner.Items);
        Assert.Contains($"done {job.Count}", states);
        Assert.Contains("pending 0", states);
        Assert.Contains("held 0", states);
        Assert.Equal(seen.Select(progress => progress.Done).Order(), seen.Select(progress => progress.Done));
        job.IsWhole();
        Assert.Empty(await node.Client.GetGrain<IDirectoryGrain>(0).Jobs());

        var written = File.GetLastWriteTimeUtc(job.Results.FileOf(FaultyWork.Open(job.Path).Work.Item(7)));
        Assert.True((await job.Run(node, runner)).IsFinished);
        Assert.Equal(written, File.GetLastWriteTimeUtc(job.Results.FileOf(FaultyWork.Open(job.Path).Work.Item(7))));
        job.IsWhole();
    }

    [Fact]
    public async Task An_item_that_always_fails_is_set_aside_with_its_error_and_the_rest_is_done()
    {
        using var job = new TestJob(30);
        job.Ask(11, "error");
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            stop: TestContext.Current.CancellationToken
        );
        await using var runner = new DirectRunner();
        var ended = await job.Run(node, runner);
        Assert.Equal((29, 1), (ended.Done, ended.SetAside));
        Assert.Equal(job.Ticket.MostAttempts, ended.FailedAttempts);
        var error = Assert.Single(ended.Errors);
        Assert.Equal((11, "this item always fails"), (error.Index, error.Error));
        Assert.Equal(29 + job.Ticket.MostAttempts, runner.Items);
        job.IsWhole(except: 11);

        // The fault is removed: the next submission processes this item only.
        File.Delete(Path.Combine(job.Path, "faults", "11"));
        Assert.Equal(0, (await job.Run(node, runner)).SetAside);
        job.IsWhole();
    }

    [Fact]
    public async Task What_is_held_back_waits_for_a_verdict_and_the_rest_does_not()
    {
        // Three segments, of which the first and a part of the second are held back.
        using var job = new TestJob((2 * Segments.Size) + 10) { Held = Segments.Size + 5 };
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            stop: TestContext.Current.CancellationToken
        );
        await using var runner = new DirectRunner();
        var (work, results) = FaultyWork.Open(job.Path);
        IReadOnlyList<Verdict> Decide(JobProgress now)
        {
            // No decision until all other items are done. Then half of the held items are opened, some are settled as
            // done, and the rest is set aside.
            if (now.Done < job.Count - job.Held)
                return [];
            return
            [
                .. Enumerable
                    .Range(0, job.Held)
                    .Select(index =>
                    {
                        if (index % 2 == 0)
                            return new Verdict { Index = index, IsOpened = true };
                        if (index % 3 == 0)
                            return new Verdict
                            {
                                Index = index,
                                IsOpened = false,
                                Error = "not wanted",
                            };
                        results.DoOnce(work, work.Item(index), CancellationToken.None);
                        return new Verdict { Index = index, IsOpened = false };
                    }),
            ];
        }

        var ended = await job.Run(node, runner, slots: 4, decide: Decide);
        int[] aside = [.. Enumerable.Range(0, job.Held).Where(index => index % 2 == 1 && index % 3 == 0)];
        Assert.Equal((job.Count - aside.Length, aside.Length), (ended.Done, ended.SetAside));
        Assert.Equal(aside, ended.AllSetAside);
        Assert.Equal("not wanted", ended.Errors[0].Error);
        // Items that were settled were not given to a worker.
        Assert.Equal(job.Count - (job.Held / 2), runner.Items);
        job.IsWhole(except: aside);
    }

    [Fact]
    public async Task A_job_that_runs_is_joined_and_other_terms_are_refused()
    {
        using var job = new TestJob(5);
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            stop: TestContext.Current.CancellationToken
        );
        var grain = node.Client.GetGrain<IJobGrain>(job.Key);
        await grain.Submit(job.Ticket);
        var lease = Assert.Single((await grain.Lease("a", 1)).Leases);
        await grain.Submit(job.Ticket);
        Assert.Equal(1, (await grain.Progress()).Leased);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            grain.Submit(job.Ticket with { MostAttempts = 9 })
        );
        Assert.Contains("is already running", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, 1), (lease.Index, lease.Epoch));
    }

    [Fact]
    public async Task A_lease_of_another_run_is_void()
    {
        using var job = new TestJob(2);
        await using var runner = new DirectRunner();
        ItemLease lease;
        await using (
            var lost = await ClusterNode.Coordinate(
                ClusterAddress.Embedded,
                stop: TestContext.Current.CancellationToken
            )
        )
        {
            var grain = lost.Client.GetGrain<IJobGrain>(job.Key);
            await grain.Submit(job.Ticket);
            lease = (await grain.Lease("a", 1)).Leases[0];
        }

        // The lease state was in memory and is lost with the process: the new one starts with the same epochs.
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            stop: TestContext.Current.CancellationToken
        );
        var again = node.Client.GetGrain<IJobGrain>(job.Key);
        await again.Submit(job.Ticket);
        var next = (await again.Lease("b", 1)).Leases[0];
        Assert.Equal((lease.Index, lease.Epoch), (next.Index, next.Epoch));
        var old = node.Client.GetGrain<ISegmentGrain>(Segments.KeyOf(lease.Job, lease.Run, lease.Index));
        Assert.False(await old.Complete(lease.Index, lease.Epoch));
        Assert.False(await old.Renew(lease.Index, lease.Epoch));
        var current = node.Client.GetGrain<ISegmentGrain>(Segments.KeyOf(next.Job, next.Run, next.Index));
        Assert.True(await current.Complete(next.Index, next.Epoch));
    }
}
