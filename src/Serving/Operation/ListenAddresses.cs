using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// The addresses at which the program listens: REST with the page, gRPC, and metrics, each at its own. The defaults
/// are loopback addresses.
/// </summary>
/// <param name="Rest">Addresses of REST and the page, over HTTP/1.1.</param>
/// <param name="Grpc">Address of gRPC, over HTTP/2 without TLS; null for none.</param>
/// <param name="Metrics">Address of the metrics; null for none.</param>
internal sealed record ListenAddresses(
    IReadOnlyList<BindingAddress> Rest,
    BindingAddress? Grpc,
    BindingAddress? Metrics
)
{
    private const string DefaultRest = "http://127.0.0.1:8080",
        DefaultGrpc = "http://127.0.0.1:9000",
        None = "none";

    /// <summary>All addresses, in the order in which they are opened.</summary>
    public IEnumerable<BindingAddress> All =>
        [
            .. Rest,
            .. Grpc is null ? Array.Empty<BindingAddress>() : [Grpc],
            .. Metrics is null ? Array.Empty<BindingAddress>() : [Metrics],
        ];

    /// <summary>
    /// Reads the addresses from the configuration; null if its section Kestrel:Endpoints sets addresses and
    /// certificates instead.
    /// </summary>
    /// <param name="configuration">The combined arguments, environment and appsettings.json.</param>
    /// <exception cref="UsageException">A value is not an address.</exception>
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

    /// <summary>Makes Kestrel listen at all addresses.</summary>
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

    /// <summary>Whether an address can be reached from this machine only.</summary>
    /// <param name="address">The address.</param>
    public static bool IsLoopback(BindingAddress address) =>
        address.Host == "localhost"
        || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));

    /// <summary>An address, or null for <c>none</c>.</summary>
    /// <param name="text">An address, or <c>none</c>.</param>
    private static BindingAddress? Optional(string text) => text is None or "" ? null : Parse(text);

    /// <summary>
    /// Parses an http address. TLS and host names are refused, with an error that says what to use instead.
    /// </summary>
    /// <param name="text">The text to parse.</param>
    /// <exception cref="UsageException">The program cannot listen at this address.</exception>
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
                $"'{text}' is not an address to listen at ({error.Message}); an example is http://127.0.0.1:8080."
            );
        }

        if (address.Scheme != "http")
            throw new UsageException(
                $"'{text}': only http is supported here; for TLS, set the configuration section Kestrel:Endpoints, "
                    + "with a certificate."
            );
        if (!IPAddress.TryParse(address.Host.Trim('[', ']'), out _) && address.Host is not ("localhost" or "*" or "+"))
            throw new UsageException(
                $"'{text}': the host must be an IP address, `localhost`, or `*` for all addresses of this machine."
            );
        return address;
    }

    /// <summary>Makes Kestrel listen at one address for one protocol.</summary>
    /// <param name="kestrel">The web server's options.</param>
    /// <param name="address">The address.</param>
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
