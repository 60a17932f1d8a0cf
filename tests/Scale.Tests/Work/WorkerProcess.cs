using System.Diagnostics;
using System.Globalization;
using TorchBridge.Scale.Cluster;
using TorchBridge.Scale.Work;

namespace TorchBridge.Scale.Tests.Work;

/// <summary>The programs that the tests start and kill.</summary>
internal static class WorkerProcess
{
    /// <summary>The program version of the tests' jobs.</summary>
    public const string Version = "test";

    /// <summary>How to start a child of this process.</summary>
    public static ProcessStartInfo Child(string program)
    {
        var start = new ProcessStartInfo("dotnet", [program, "child"]);
        start.Environment["SCALE_WORKER"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        return start;
    }

    /// <summary>Runs a command line: <c>child</c>, <c>worker CLUSTER NAME SLOTS</c>, or <c>coordinator CLUSTER
    /// GATEWAY SILO</c>. The latter two print <c>ready</c>, and end when their standard input ends.</summary>
    public static async Task Run(string program, string[] arguments)
    {
        if (arguments is ["child"])
        {
            ItemServer.Serve(
                Console.In,
                Console.Out,
                FaultyWork.Open,
                error => error.Message,
                () => Environment.Exit(ItemServer.Orphaned)
            );
            return;
        }

        using var stop = new CancellationTokenSource();
        var address = ClusterAddress.Parse(arguments[1]);
        if (arguments[0] == "coordinator")
        {
            await using var node = await ClusterNode.Coordinate(
                address,
                new CoordinatorOptions
                {
                    GatewayPort = int.Parse(arguments[2], CultureInfo.InvariantCulture),
                    SiloPort = int.Parse(arguments[3], CultureInfo.InvariantCulture),
                }
            );
            Console.WriteLine("ready");
            await Console.In.ReadToEndAsync();
            return;
        }

        await using var connection = await ClusterNode.Connect(address, stop: stop.Token);
        await using var runner = new ChildProcessRunner(() => Child(program));
        Console.WriteLine("ready");
        var worker = new Worker(
            connection.Client,
            runner,
            new WorkerOptions(arguments[2], int.Parse(arguments[3], CultureInfo.InvariantCulture), Version)
            {
                Poll = TimeSpan.FromMilliseconds(20),
                Say = Console.WriteLine,
            }
        ).Run(stop.Token);
        await Console.In.ReadToEndAsync();
        await stop.CancelAsync();
        await worker;
    }
}
