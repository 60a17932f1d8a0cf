using System.Diagnostics;
using System.Globalization;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Tests.Work;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>Lease state in real stores: the coordinator is killed, and another one continues from the stored
/// state.</summary>
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
            pipe.Meet(); // 19 items are done, and one is in progress
            first.Kill();
            using var second = await WorkerProgram.Coordinator(store.Address, gateway, silo);
            pipe.Let(); // the worker reports to the new coordinator, with the lease from the old one
            await using var later = await ClusterNode.Connect(address, stop: TestContext.Current.CancellationToken);
            var grain = later.Client.GetGrain<IJobGrain>(job.Key);
            var segment = later.Client.GetGrain<ISegmentGrain>(Segments.KeyOf(held.Job, held.Run, held.Index));
            Assert.True(await segment.Release(held.Index, held.Epoch)); // a lease outlives the process that granted it
            JobProgress progress;
            do progress = await grain.Progress();
            while (!progress.IsFinished);
            Assert.Equal((40, 0), (progress.Done, progress.SetAside));
            Assert.Empty(await later.Client.GetGrain<IDirectoryGrain>(0).Jobs());
        }

        job.IsWhole();
    }

    [Theory]
    [InlineData("redis")]
    [InlineData("postgres")]
    public async Task What_a_job_ended_with_is_known_to_the_next_coordinator(string kind)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stores are Debian's");
        using var folder = new TempFolder();
        using var store = await StoreServer.Start(kind, folder.Path);
        using var job = new TestJob(4) { MostAttempts = 1, Held = 1 };
        var (gateway, silo) = TestJob.FreePorts();
        var address = ClusterAddress.Parse(store.Address);
        JobProgress before;
        using (var first = await WorkerProgram.Coordinator(store.Address, gateway, silo))
        {
            await using var client = await ClusterNode.Connect(address, stop: TestContext.Current.CancellationToken);
            var grain = client.Client.GetGrain<IJobGrain>(job.Key);
            await grain.Submit(job.Ticket);
            await grain.Settle([
                new Verdict
                {
                    Index = 0,
                    IsOpened = false,
                    Error = "not worth it",
                },
            ]);
            foreach (var lease in (await grain.Lease("test", 4)).Leases)
            {
                var segment = client.Client.GetGrain<ISegmentGrain>(Segments.KeyOf(lease.Job, lease.Run, lease.Index));
                Assert.True(
                    lease.Index == 1
                        ? await segment.Complete(lease.Index, lease.Epoch)
                        : await segment.Fail(lease.Index, lease.Epoch, "it broke")
                );
            }

            before = await grain.Progress();
            Assert.True(before.IsFinished);
            Assert.Equal((1, 3), (before.Done, before.SetAside));
            first.Kill();
        }

        using var second = await WorkerProgram.Coordinator(store.Address, gateway, silo);
        await using var later = await ClusterNode.Connect(address, stop: TestContext.Current.CancellationToken);
        var again = later.Client.GetGrain<IJobGrain>(job.Key);
        var after = await again.Progress();
        Assert.Equal((before.Done, before.SetAside), (after.Done, after.SetAside));
        Assert.Equal(before.Errors, after.Errors);
        Assert.Equal([0, 2, 3], after.AllSetAside);
        await again.Submit(job.Ticket); // the job starts again
        Assert.False((await again.Progress()).IsFinished);
    }

    [Fact]
    public void What_is_stored_or_sent_has_types_that_every_process_knows()
    {
        // For a list that is written as [..] and typed by its interface, the compiler generates a type, which cannot
        // be read back from a store.
        var properties = typeof(IJobGrain)
            .Assembly.GetTypes()
            .Where(type => type.IsDefined(typeof(GenerateSerializerAttribute), inherit: false))
            .SelectMany(type => type.GetProperties())
            .ToArray();
        Assert.NotEmpty(properties);
        Assert.All(properties, property =>
            Assert.False(property.PropertyType.IsInterface, $"{property.DeclaringType} {property}")
        );
        var methods = typeof(IJobGrain)
            .Assembly.GetTypes()
            .Where(type => type.IsInterface && typeof(IGrain).IsAssignableFrom(type))
            .SelectMany(type => type.GetMethods())
            .ToArray();
        Assert.NotEmpty(methods);
        Assert.All(methods, method =>
            Assert.All(
                method
                    .GetParameters()
                    .Select(parameter => parameter.ParameterType)
                    .Concat(method.ReturnType.GetGenericArguments()),
                type => Assert.False(type.IsInterface, $"{method.DeclaringType} {method}")
            )
        );
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
