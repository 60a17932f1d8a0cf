using Microsoft.Extensions.Time.Testing;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Grains;
using TorchBridge.Testing;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>Workers that are killed, suspended or disconnected. Leases expire by a clock that the test controls, and
/// every test ends by comparing the results with those of a run without faults, byte for byte.</summary>
public class FaultTests
{
    private readonly FakeTimeProvider clock = new();

    [Theory]
    [InlineData("item")]
    [InlineData("half")]
    [InlineData("temporary")]
    [InlineData("published")]
    [InlineData("receipt")]
    public async Task A_child_killed_at_any_point_costs_its_item_one_attempt(string point)
    {
        SkipOnWindows();
        using var job = new TestJob(12);
        job.Ask(5, point);
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        using var worker = await WorkerProgram.Worker(cluster, slots: 2);
        var ended = await job.Run(node, runner: null);
        Assert.Equal((12, 0), (ended.Done, ended.SetAside));
        Assert.Contains("SIGKILL", await worker.Until("item 5, attempt 1"), StringComparison.Ordinal);
        job.IsWhole();
    }

    [Theory]
    [InlineData("worker")]
    [InlineData("uncompleted")]
    public async Task A_worker_killed_in_the_middle_of_an_item_or_before_it_says_that_it_is_done_costs_that_item_alone(
        string point
    )
    {
        SkipOnWindows();
        using var job = new TestJob(20);
        job.Ask(7, point);
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        using var killed = await WorkerProgram.Worker(cluster, "killed");
        var running = job.Run(node, runner: null);
        await killed.Exit();
        using var other = await WorkerProgram.Worker(cluster, "other");
        clock.Advance(TestJob.LeaseDuration);
        Assert.Equal(20, (await running).Done);
        job.IsWhole();
    }

    [Fact]
    public async Task A_worker_stopped_past_its_lease_is_refused_when_it_goes_on()
    {
        SkipOnWindows();
        using var job = new TestJob(6);
        using var pipe = Pipe.Of(job, 2);
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        using var zombie = await WorkerProgram.Worker(cluster, "zombie");
        var running = job.Run(node, runner: null);
        pipe.Meet(); // it is in the middle of item 2
        zombie.Signal("STOP");
        clock.Advance(TestJob.LeaseDuration);
        using (var other = await WorkerProgram.Worker(cluster, "other"))
            Assert.Equal(6, (await running).Done);
        job.IsWhole();

        pipe.Let(); // its child finishes the item: the result already exists, with the same bytes
        zombie.Signal("CONT");
        Assert.Contains("another worker", await zombie.Until("item 2, attempt 1"), StringComparison.Ordinal);
        job.IsWhole();
        Assert.Equal(6, (await node.Client.GetGrain<IJobGrain>(job.Key).Progress()).Done);
    }

    [Fact]
    public async Task An_item_whose_process_always_crashes_is_set_aside()
    {
        SkipOnWindows();
        using var job = new TestJob(5);
        job.Ask(3, "crash");
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        using var worker = await WorkerProgram.Worker(cluster);
        var ended = await job.Run(node, runner: null);
        Assert.Equal((4, 1), (ended.Done, ended.SetAside));
        Assert.Contains("SIGABRT", Assert.Single(ended.Errors).Error, StringComparison.Ordinal);
        job.IsWhole(except: 3);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public async Task Any_number_of_workers_gives_the_same_bytes(int count)
    {
        SkipOnWindows();
        using var job = new TestJob(200);
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        var workers = await Task.WhenAll(
            Enumerable.Range(0, count).Select(i => WorkerProgram.Worker(cluster, $"w{i}"))
        );
        Assert.Equal(200, (await job.Run(node, runner: null)).Done);
        foreach (var worker in workers)
            worker.Dispose();
        job.IsWhole();
    }

    [Fact]
    public async Task Fifty_kills_over_five_hundred_items_leave_every_item_once()
    {
        SkipOnWindows();
        const int items = 500,
            kills = 50,
            seed = 20261130;
        // A kill of a worker also costs an attempt of the other items that it has.
        using var job = new TestJob(items) { MostAttempts = 10 };
        var random = new Random(seed);
        var points = (string[])["item", "half", "temporary", "published", "receipt", "worker", "uncompleted"];
        var victims = Enumerable.Range(0, items).ToArray();
        random.Shuffle(victims);
        var schedule = victims[..kills].Select(index => (index, point: points[random.Next(points.Length)])).ToArray();
        foreach (var (index, point) in schedule)
            job.Ask(index, point);
        var (node, cluster) = await Coordinate();
        await using var _ = node;
        var running = job.Run(node, runner: null);
        var workers = 0;
        while (!running.IsCompleted)
        {
            using var worker = await WorkerProgram.Worker(cluster, $"w{workers++}", slots: 2);
            var exit = worker.Exit();
            await Task.WhenAny(running, exit);
            // The leases of the killed worker are void from now on.
            if (exit.IsCompleted)
                clock.Advance(TestJob.LeaseDuration);
        }

        var ended = await running;
        Assert.Equal((items, 0), (ended.Done, ended.SetAside));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(job.Path, "faults"))); // every kill took place
        Assert.InRange(workers, 2, kills + 1);
        job.IsWhole();
    }

    [Fact]
    public async Task A_full_disk_fails_the_items_with_the_systems_words_and_the_rest_is_done_when_there_is_room()
    {
        using var job = new TestJob(3);
        Assert.SkipUnless(
            OperatingSystem.IsLinux()
                && Directory.CreateDirectory(job.Results.Path).Exists
                && Run.Command("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", job.Results.Path]).ExitCode == 0,
            "a file system that is full needs the right to mount one"
        );
        try
        {
            var filler = Path.Combine(job.Results.Path, "filler.tmp");
            await using (var stream = File.Create(filler))
                Assert.Throws<IOException>(() =>
                {
                    for (var i = 0; i < 64; i++)
                    {
                        stream.Write(new byte[4096]);
                        stream.Flush();
                    }
                });
            await using var node = await ClusterNode.Coordinate(
                ClusterAddress.Embedded,
                stop: TestContext.Current.CancellationToken
            );
            await using var runner = new DirectRunner();
            var ended = await job.Run(node, runner);
            Assert.Equal((0, 3), (ended.Done, ended.SetAside));
            Assert.All(ended.Errors, error =>
                Assert.Contains("space", error.Error, StringComparison.OrdinalIgnoreCase)
            );
            Assert.Equal(["filler.tmp"], Directory.EnumerateFiles(job.Results.Path).Select(Path.GetFileName));

            File.Delete(filler);
            Assert.Equal(3, (await job.Run(node, runner)).Done);
            job.IsWhole();
        }
        finally
        {
            Run.Command("umount", [job.Results.Path]);
        }
    }

    private static void SkipOnWindows() =>
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals to kill and stop processes with");

    private async Task<(ClusterNode Node, string Cluster)> Coordinate()
    {
        var (gateway, silo) = TestJob.FreePorts();
        var node = await ClusterNode.Coordinate(
            new ClusterAddress(ClusterKind.Localhost, "", gateway),
            new CoordinatorOptions { SiloPort = silo, Clock = clock }
        );
        return (node, $"localhost:{gateway}");
    }
}
