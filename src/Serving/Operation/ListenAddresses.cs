using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Where the program listens: REST and page, gRPC, metrics, each at an address of its own. Loopback unless told
/// otherwise.
/// </summary>
/// <param name="Rest">REST and the page: HTTP/1.1.</param>
/// <param name="Grpc">gRPC: HTTP/2 without TLS; null for none.</param>
/// <param name="Metrics">Metrics; null for none.</param>
internal sealed record ListenAddresses(
    IReadOnlyList<BindingAddress> Rest,
    BindingAddress? Grpc,
    BindingAddress? Metrics
)
{
    private const string DefaultRest = "http://127.0.0.1:8080",
        DefaultGrpc = "http://127.0.0.1:9000",
        None = "none";

    /// <summary>All of them, in the order in which they are opened.</summary>
    public IEnumerable<BindingAddress> All =>
        [
            .. Rest,
            .. Grpc is null ? Array.Empty<BindingAddress>() : [Grpc],
            .. Metrics is null ? Array.Empty<BindingAddress>() : [Metrics],
        ];

    /// <summary>
    /// Reads them from the configuration; null where its section Kestrel:Endpoints says where to listen, certificates
    /// and all.
    /// </summary>
    /// <param name="configuration">Arguments, environment and appsettings.json together.</param>
    /// <exception cref="UsageException">One is no address.</exception>
    public static ListenAddresses? Read(IConfiguration configuration)
    {
        if (configuration.GetSection("Kestrel:Endpoints").Exists())
            return null;
        var rest = (configuration[ProgramArguments.Urls] ?? DefaultRest).Split(
            ';',
            StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries
        );
        return new ListenAddresses(
            [.. rest.Select(Parse)],
            Optional(configuration[ProgramArguments.GrpcUrl] ?? DefaultGrpc),
            Optional(configuration[ProgramArguments.MetricsUrl] ?? None)
        );
    }

    /// <summary>Opens them.</summary>
    /// <param name="kestrel">The web server's options.</param>
    public void Listen(KestrelServerOptions kestrel)
    {
        foreach (var address in Rest)
            Listen(kestrel, address, HttpProtocols.Http1);
        if (Grpc is not null)
            Listen(kestrel, Grpc, HttpProtocols.Http2);
        if (Metrics is not null)
            Listen(kestrel, Metrics, HttpProtocols.Http1);
    }

    /// <summary>Whether only this machine reaches an address.</summary>
    /// <param name="address">An address that is listened at.</param>
    public static bool IsLoopback(BindingAddress address) =>
        address.Host == "localhost"
        || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));

    /// <summary>An address, or null for <c>none</c>.</summary>
    /// <param name="text">An address, or <c>none</c>.</param>
    private static BindingAddress? Optional(string text) => text is None or "" ? null : Parse(text);

    /// <summary>An address of http; TLS and names of hosts are refused with a way out.</summary>
    /// <param name="text">An address.</param>
    /// <exception cref="UsageException">It is none that can be listened at.</exception>
    private static BindingAddress Parse(string text)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(text);
        }
        catch (FormatException error)
        {
            throw new UsageException(
                $"'{text}' is not an address to listen at ({error.Message}); http://127.0.0.1:8080 is one."
            );
        }

        if (address.Scheme != "http")
            throw new UsageException(
                $"'{text}': for TLS, set the configuration's section Kestrel:Endpoints, with a certificate."
            );
        if (!IPAddress.TryParse(address.Host.Trim('[', ']'), out _) && address.Host is not ("localhost" or "*" or "+"))
            throw new UsageException(
                $"'{text}': the host is an IP address, `localhost`, or `*` for all of this machine's."
            );
        return address;
    }

    /// <summary>Opens one address for one protocol.</summary>
    /// <param name="kestrel">The web server.</param>
    /// <param name="address">Where.</param>
    /// <param name="protocols">HTTP/1.1 or HTTP/2.</param>
    private static void Listen(KestrelServerOptions kestrel, BindingAddress address, HttpProtocols protocols)
    {
        if (address.Host is "*" or "+")
            kestrel.ListenAnyIP(address.Port, listen => listen.Protocols = protocols);
        else if (address.Host == "localhost")
            kestrel.ListenLocalhost(address.Port, listen => listen.Protocols = protocols);
        else
            kestrel.Listen(IPAddress.Parse(address.Host.Trim('[', ']')), address.Port, listen =>
                listen.Protocols = protocols
            );
    }
}
