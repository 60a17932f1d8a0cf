using System.CommandLine;
using System.Net;
using TorchBridge.Scale.Cluster;
using TorchBridge.Training.CommandLine;
using TorchBridge.Training.Ranges;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Jobs;

/// <summary>The options by which a job is shared.</summary>
internal sealed class ClusterOptions
{
    private readonly Option<string?> cluster = new("--cluster")
    {
        Description =
            "Where the books of the cluster are: redis://HOST, postgres://USER@HOST/DATABASE, or localhost for workers on "
            + "this machine. Start `worker --cluster …` with the same on every machine that shall work; all must see --out "
            + "under the same path. Default: no cluster, this machine alone.",
        HelpName = "ADDRESS",
    };
    private readonly Option<string?> certificate = new("--certificate")
    {
        Description =
            "PEM file with a certificate and its key, the same for all of the cluster: connections are encrypted, and "
            + "nobody without it comes in. See docs/scale.md.",
        HelpName = "FILE",
    };
    private readonly Option<string> listen = new("--listen")
    {
        Description =
            "Address of this machine that workers reach it at, and the port (the cluster's own, or 30000); a thousand "
            + "below it is used too. Default: this machine alone.",
        DefaultValueFactory = _ => "127.0.0.1",
        HelpName = "IP[:PORT]",
    };
    private readonly NumberOption lease = new("--lease-seconds", new AllowedAttribute(3, 86_400))
    {
        Description =
            "How long a worker may be silent until its item goes to another one. Workers renew at a third of it. Default: 60.",
        HelpName = "N",
    };
    private readonly WholeOption attempts = new("--attempts", new AllowedAttribute(1, 100), 3)
    {
        Description = "Failed attempts after which an item is set aside, with its error.",
    };
    private readonly NumberOption parallel = new("--parallel", new AllowedAttribute(0, 256))
    {
        Description =
            "Items at a time in this process' care, a child process of one thread each. Default: one a core; with "
            + "--cluster 0, which leaves all to the workers.",
        HelpName = "N",
    };

    /// <summary>All of them.</summary>
    public IEnumerable<Option> All => [cluster, parallel, lease, attempts, listen, certificate];

    /// <summary>Reads them.</summary>
    /// <exception cref="UserException">One is out of its range.</exception>
    public SharedRun Read(ParseResult parsed)
    {
        var address = parsed.GetValue(cluster) is { } text ? ClusterAddress.Parse(text) : ClusterAddress.Embedded;
        var slots = parallel.Whole(parsed) ?? (address.Kind == ClusterKind.Embedded ? Environment.ProcessorCount : 0);
        if (slots == 0 && address.Kind == ClusterKind.Embedded)
            throw new UserException("--parallel is 0, and without --cluster nobody else works: give at least 1.");
        var (ip, port) = Listen(parsed.GetValue(listen)!);
        return new SharedRun(
            address,
            new CoordinatorOptions
            {
                Address = ip,
                GatewayPort = port,
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
            : throw new UserException($"--listen is {text}; allowed is an IP address, or one with a port above 1000.");
    }
}

/// <summary>How a job is shared.</summary>
/// <param name="Cluster">Where the books are.</param>
/// <param name="Coordinator">How this process is reached.</param>
/// <param name="LeaseDuration">How long a lease lasts.</param>
/// <param name="MostAttempts">Failed attempts after which an item is set aside.</param>
/// <param name="Parallel">Items at a time in this process' care.</param>
internal sealed record SharedRun(
    ClusterAddress Cluster,
    CoordinatorOptions Coordinator,
    TimeSpan LeaseDuration,
    int MostAttempts,
    int Parallel
);
