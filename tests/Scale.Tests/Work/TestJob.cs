using System.Net;
using System.Net.Sockets;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Publishing;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>A job of cheap items, with a check of its results.</summary>
internal sealed class TestJob : IDisposable
{
    /// <summary>Longer than any test, so a lease expires only when the test moves its clock.</summary>
    public static readonly TimeSpan LeaseDuration = TimeSpan.FromHours(1);

    public TestJob(int items)
    {
        Count = items;
        FaultyWork.Write(Path, items);
    }

    /// <summary>The job's folder. It is in memory if the system has a place for that, because every result is flushed
    /// to the disk four times, and these tests are not about disks.</summary>
    public string Path { get; } =
        System.IO.Path.Combine(
            Directory.Exists("/dev/shm") ? "/dev/shm" : System.IO.Path.GetTempPath(),
            $"torchbridge-test-{Guid.NewGuid():N}"
        );

    /// <summary>Number of items.</summary>
    public int Count { get; }

    /// <summary>How many of the first items are held back.</summary>
    public int Held { get; init; }

    /// <summary>Number of failed attempts after which an item is set aside.</summary>
    public int MostAttempts { get; init; } = 3;

    /// <summary>The job's key.</summary>
    public string Key => JobRun.KeyOf(Path, "test");

    /// <summary>The job's description for the cluster.</summary>
    public JobTicket Ticket =>
        new()
        {
            Folder = Path,
            Count = Count,
            LeaseDuration = LeaseDuration,
            MostAttempts = MostAttempts,
            Program = WorkerProcess.Version,
            Held = Held,
        };

    /// <summary>The job's results.</summary>
    public ResultFolder Results => FaultyWork.ResultsOf(Path);

    /// <summary>Two ports that are free.</summary>
    public static (int Gateway, int Silo) FreePorts()
    {
        using var first = Bound();
        using var second = Bound();
        return (PortOf(first), PortOf(second));

        static Socket Bound()
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            return socket;
        }

        static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Requests a fault.</summary>
    public void Ask(int index, string fault) => FaultyWork.Ask(Path, index, fault);

    /// <summary>Works on the job in this process.</summary>
    public Task<JobProgress> Run(
        ClusterNode node,
        IItemRunner? runner,
        int slots = 2,
        Action<JobProgress>? progress = null,
        Func<JobProgress, IReadOnlyList<Verdict>>? decide = null
    ) =>
        JobRun.Do(
            node.Client,
            Key,
            Ticket,
            runner,
            new WorkerOptions("test", slots, WorkerProcess.Version) { Poll = TimeSpan.FromMilliseconds(5) },
            progress ?? (_ => { }),
            decide,
            TestContext.Current.CancellationToken
        );

    /// <summary>Asserts that every item is published once, completely, with the bytes of a run without faults, and
    /// that nothing else is in the folder.</summary>
    public void IsWhole(params int[] except)
    {
        using var clean = new TempFolder();
        FaultyWork.Write(clean.Path, Count);
        var (work, results) = FaultyWork.Open(clean.Path);
        for (var index = 0; index < Count; index++)
        {
            if (!except.Contains(index))
                results.DoOnce(work, work.Item(index), CancellationToken.None);
        }

        Results.RemoveLeftovers();
        Assert.Equal(Contents(results.Path), Contents(Results.Path));
        Assert.Equal(except.Length, Results.Verify(work).Problems.Count);
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);

    private static Dictionary<string, string> Contents(string path) =>
        Directory
            .EnumerateFiles(path)
            // A temporary file of a running writer is allowed; those of killed writers were removed before.
            .Where(file => !file.EndsWith(".tmp", StringComparison.Ordinal))
            .ToDictionary(file => System.IO.Path.GetFileName(file), ContentHash.OfFile, StringComparer.Ordinal);
}
