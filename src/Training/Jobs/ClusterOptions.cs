using System.CommandLine;
using System.Net;
using TorchBridge.Scale.Cluster;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Jobs;

/// <summary>The options for running a job on a cluster.</summary>
internal sealed class ClusterOptions
{
    private readonly Option<string?> cluster = new("--cluster")
    {
        Description =
            "Store for the state of the cluster: redis://HOST, postgres://USER@HOST/DATABASE, or localhost for "
            + "workers on "
            + "this machine. Start `worker --cluster …` with the same value on every worker machine; all of them "
            + "need access to --out under the same path. Default: no cluster, only this machine.",
        HelpName = "ADDRESS",
    };
    private readonly Option<string?> certificate = new("--certificate")
    {
        Description =
            "PEM file with a certificate and its key, the same for the whole cluster: connections are encrypted, and "
            + "only holders of the certificate can connect. See docs/scale.md.",
        HelpName = "FILE",
    };
    private readonly Option<string> listen = new("--listen")
    {
        Description =
            "Address at which workers reach this machine, and the port (default 30000, or the cluster's own); "
            + "the port a thousand below it is used too. Default: only this machine.",
        DefaultValueFactory = _ => "127.0.0.1",
        HelpName = "IP[:PORT]",
    };
    private readonly NumberOption lease = new("--lease-seconds", new AllowedAttribute(3, 86_400))
    {
        Description =
            "Seconds without a sign of life after which a worker's item is given to another one. Workers renew "
            + "their leases after a third of this time. Default: 60.",
        HelpName = "N",
    };
    private readonly WholeOption attempts = new("--attempts", new AllowedAttribute(1, 100), 3)
    {
        Description = "Number of failed attempts after which an item is set aside with its error.",
    };
    private readonly NumberOption parallel = new("--parallel", new AllowedAttribute(0, 256))
    {
        Description =
            "Number of items that this process works on at a time, each in a child process with one thread. "
            + "Default: one per core; with --cluster 0, which leaves all items to the workers.",
        HelpName = "N",
    };

    private readonly NumberOption dashboard = new("--dashboard", new AllowedAttribute(1, 65_535))
    {
        Description =
            "Show the Orleans dashboard while the job runs, at http://127.0.0.1:PORT, only on this machine. "
            + "Default: no dashboard.",
        HelpName = "PORT",
    };

    /// <summary>All options.</summary>
    public IEnumerable<Option> All => [cluster, parallel, lease, attempts, listen, certificate, dashboard];

    /// <summary>Reads the options.</summary>
    /// <exception cref="UserException">A value is out of its range.</exception>
    public SharedRun Read(ParseResult parsed)
    {
        var address = parsed.GetValue(cluster) is { } text ? ClusterAddress.Parse(text) : ClusterAddress.Embedded;
        var slots = parallel.Whole(parsed) ?? (address.Kind == ClusterKind.Embedded ? Environment.ProcessorCount : 0);
        if (slots == 0 && address.Kind == ClusterKind.Embedded)
            throw new UserException(
                "--parallel is 0, but without --cluster there are no other workers. Give at least 1."
            );
        var (ip, port) = Listen(parsed.GetValue(listen)!);
        return new SharedRun(
            address,
            new CoordinatorOptions
            {
                Address = ip,
                GatewayPort = port,
                DashboardPort = dashboard.Whole(parsed),
                Certificate = parsed.GetValue(certificate) is { } file ? ClusterCertificate.Read(file) : null,
            },
            TimeSpan.FromSeconds(lease.Whole(parsed) ?? 60),
            attempts.Read(parsed),
            slots
        );
    }

    private static (IPAddress Address, int? Port) Listen(string text)
    {
        if (IPAddress.TryParse(text, out var alone))
            return (alone, null);
        return IPEndPoint.TryParse(text, out var both) && both.Port > 1000
            ? (both.Address, both.Port)
            : throw new UserException(
                $"--listen is {text}; allowed is an IP address, optionally with a port above 1000."
            );
    }
}

/// <summary>How a job is run on a cluster.</summary>
/// <param name="Cluster">Store of the cluster's state.</param>
/// <param name="Coordinator">Address of this process.</param>
/// <param name="LeaseDuration">Duration of a lease.</param>
/// <param name="MostAttempts">Number of failed attempts after which an item is set aside.</param>
/// <param name="Parallel">Number of items that this process works on at a time.</param>
internal sealed record SharedRun(
    ClusterAddress Cluster,
    CoordinatorOptions Coordinator,
    TimeSpan LeaseDuration,
    int MostAttempts,
    int Parallel
);
