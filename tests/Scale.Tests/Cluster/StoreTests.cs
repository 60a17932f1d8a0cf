using System.Diagnostics;
using System.Globalization;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Tests.Work;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>Books in real stores: the coordinator is killed, and another one goes on where it was.</summary>
public class StoreTests
{
    [Theory]
    [InlineData("redis")]
    [InlineData("postgres")]
    public async Task A_coordinator_killed_in_the_middle_goes_on_from_its_store(string kind)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stores are Debian's");
        using var folder = new TempFolder();
        using var store = await StoreServer.Start(kind, folder.Path);
        using var job = new TestJob(40);
        using var pipe = Pipe.Of(job, 20);
        var (gateway, silo) = TestJob.FreePorts();
        var address = ClusterAddress.Parse(store.Address);
        ItemLease held;
        using (var first = await WorkerProgram.Coordinator(store.Address, gateway, silo))
        {
            await using var client = await ClusterNode.Connect(address, stop: TestContext.Current.CancellationToken);
            await client.Client.GetGrain<IJobGrain>(job.Key).Submit(job.Ticket);
            held = (await client.Client.GetGrain<IJobGrain>(job.Key).Lease("test", 1)).Leases[0];
            using var worker = await WorkerProgram.Worker(store.Address);
            pipe.Meet(); // 19 items are done, and one is being done
            first.Kill();
            using var second = await WorkerProgram.Coordinator(store.Address, gateway, silo);
            pipe.Let(); // the worker completes at the new coordinator, with its lease from the old one
            await using var later = await ClusterNode.Connect(address, stop: TestContext.Current.CancellationToken);
            var grain = later.Client.GetGrain<IJobGrain>(job.Key);
            var segment = later.Client.GetGrain<ISegmentGrain>(Segments.KeyOf(held.Job, held.Run, held.Index));
            Assert.True(await segment.Release(held.Index, held.Epoch)); // a lease outlives the process that gave it
            JobProgress progress;
            do progress = await grain.Progress();
            while (!progress.IsFinished);
            Assert.Equal((40, 0), (progress.Done, progress.SetAside));
            Assert.Empty(await later.Client.GetGrain<IDirectoryGrain>(0).Jobs());
        }

        job.IsWhole();
    }

    [Fact]
    public async Task A_store_that_is_not_there_is_said()
    {
        var (port, _) = TestJob.FreePorts();
        var error = await Assert.ThrowsAsync<TorchBridge.Scale.Contract.ScaleException>(() =>
            ClusterNode.Coordinate(
                ClusterAddress.Parse($"postgres://nobody@127.0.0.1:{port}/none"),
                stop: TestContext.Current.CancellationToken
            )
        );
        Assert.Contains("cannot be reached", error.Message, StringComparison.Ordinal);
    }
}
