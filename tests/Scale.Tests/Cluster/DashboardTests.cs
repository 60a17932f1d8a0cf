using System.Net;
using System.Net.Sockets;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Tests.Work;

namespace TorchBridge.Scale.Tests.Cluster;

public class DashboardTests
{
    [Fact]
    public async Task The_dashboard_is_there_where_it_is_asked_for_and_knows_the_grains()
    {
        var (port, _) = TestJob.FreePorts();
        using var job = new TestJob(20);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        await using (var node = await Coordinate(port))
        {
            await using var runner = new DirectRunner();
            Assert.Equal(20, (await job.Run(node, runner)).Done);
            var page = await http.GetStringAsync("/", TestContext.Current.CancellationToken);
            Assert.Contains("<html", page, StringComparison.OrdinalIgnoreCase);
            var types = await http.GetStringAsync("/GrainTypes", TestContext.Current.CancellationToken);
            Assert.Contains("SegmentGrain", types, StringComparison.Ordinal);

            // A second dashboard is refused, because the port is in use.
            var error = await Assert.ThrowsAsync<ScaleException>(() => Coordinate(port));
            Assert.Contains($"--dashboard {port}", error.Message, StringComparison.Ordinal);
        }

        // The dashboard ends with its coordinator, and a coordinator without the option has none.
        await using var without = await Coordinate(null);
        using var socket = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() =>
            socket.ConnectAsync(IPAddress.Loopback, port, TestContext.Current.CancellationToken).AsTask()
        );
    }

    private static Task<ClusterNode> Coordinate(int? port) =>
        ClusterNode.Coordinate(
            ClusterAddress.Embedded,
            new CoordinatorOptions { DashboardPort = port },
            TestContext.Current.CancellationToken
        );
}
