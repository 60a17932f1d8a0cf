using System.Net;
using Microsoft.Extensions.Time.Testing;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Tests.Work;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Cluster;

/// <summary>Machines that lose the connection to the coordinator and its store, and are connected again.</summary>
public class MachineTests
{
    [Fact]
    public async Task A_machine_that_is_cut_off_loses_its_item_and_works_again_when_it_is_back()
    {
        using var machine = Machine.Start(0);
        using var folder = new TempFolder();
        using var store = await StoreServer.Start("redis", folder.Path, machine.Here);
        var clock = new FakeTimeProvider();
        var (gateway, silo) = TestJob.FreePorts();
        await using var node = await ClusterNode.Coordinate(
            ClusterAddress.Parse(store.Address),
            new CoordinatorOptions
            {
                Address = IPAddress.Parse(machine.Here),
                GatewayPort = gateway,
                SiloPort = silo,
                Clock = clock,
            },
            TestContext.Current.CancellationToken
        );
        using var far = await WorkerProgram.Worker(store.Address, "far", machine: machine);
        using (var job = new TestJob(30))
        {
            using var pipe = Pipe.Of(job, 4);
            var running = job.Run(node, runner: null);
            pipe.Meet(); // it is in the middle of item 4
            machine.CutOff();
            pipe.Let(); // its child finishes and publishes the item, but cannot report it
            clock.Advance(TestJob.LeaseDuration);
            using (var near = await WorkerProgram.Worker(store.Address, "near"))
                Assert.Equal(30, (await running).Done);
            job.IsWhole();
            machine.Heal();
            Assert.Contains("another worker", await far.Until("item 4, attempt 1"), StringComparison.Ordinal);
            job.IsWhole();
        }

        // The machine alone, with the connections that it had before.
        using var next = new TestJob(10);
        Assert.Equal(10, (await next.Run(node, runner: null)).Done);
        next.IsWhole();
    }
}
