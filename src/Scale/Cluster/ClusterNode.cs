using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Dashboard;
using Orleans.Hosting;
using StackExchange.Redis;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Cluster;

/// <summary>How a coordinator listens.</summary>
internal sealed record CoordinatorOptions
{
    /// <summary>The IP address on which it listens.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port for workers; null for the one of the cluster's address.</summary>
    public int? GatewayPort { get; init; }

    /// <summary>The port for other coordinators; null for the gateway's port less 1,000.</summary>
    public int? SiloPort { get; init; }

    /// <summary>The clock by which leases expire.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Certificate and key of the cluster; null for unencrypted connections.</summary>
    public ClusterCertificate? Certificate { get; init; }

    /// <summary>The loopback port of the Orleans dashboard; null for no dashboard.</summary>
    public int? DashboardPort { get; init; }
}

/// <summary>A member of a cluster: a coordinator, which manages the lease state, or a client of one.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    private const string Name = "torchbridge";
    private const string Invariant = "Npgsql";
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LookForGateways = TimeSpan.FromSeconds(2);
    private readonly IHost host;

    private ClusterNode(IHost host) => (this.host, Client) = (host, host.Services.GetRequiredService<IClusterClient>());

    /// <summary>The client through which grains are called.</summary>
    public IClusterClient Client { get; }

    /// <summary>Starts a coordinator.</summary>
    /// <exception cref="ScaleException">The port is taken, or the store cannot be reached.</exception>
    public static async Task<ClusterNode> Coordinate(
        ClusterAddress address,
        CoordinatorOptions? options = null,
        CancellationToken stop = default
    )
    {
        options ??= new CoordinatorOptions();
        var isEmbedded = address.Kind == ClusterKind.Embedded;
        // Two ports that are free now may be taken a moment later: then two others are tried.
        for (var attempt = 0; ; attempt++)
        {
            var gateway = isEmbedded ? FreePort() : options.GatewayPort ?? address.GatewayPort;
            var silo = isEmbedded ? FreePort() : options.SiloPort ?? gateway - 1000;
            try
            {
                return await Start(
                        address,
                        builder => builder.UseOrleans(silos => Configure(silos, address, options, silo, gateway)),
                        options.DashboardPort,
                        stop
                    )
                    .ConfigureAwait(false);
            }
            catch (Exception error) when (IsDashboardTaken(error))
            {
                throw new ScaleException(
                    $"--dashboard {options.DashboardPort}: another program already listens on this port. Name another port, "
                        + "or leave the option out.",
                    error
                );
            }
            catch (Exception error) when (IsPortTaken(error))
            {
                if (!isEmbedded || attempt == 4)
                    throw new ScaleException(
                        $"The coordinator cannot listen on {options.Address}, ports {silo} and {gateway}: another program, "
                            + "probably another coordinator, uses one of them. Wait until that program ends, or name another "
                            + "port: --cluster localhost:PORT.",
                        error
                    );
            }
        }
    }

    /// <summary>Connects to a coordinator; if there is none yet, waits for one.</summary>
    public static Task<ClusterNode> Connect(
        ClusterAddress address,
        ClusterCertificate? certificate = null,
        Action<string>? say = null,
        CancellationToken stop = default
    ) =>
        Start(
            address,
            builder =>
                builder.UseOrleansClient(client =>
                {
                    Shared(client.Services);
                    switch (address.Kind)
                    {
                        case ClusterKind.Redis:
                            client.UseRedisClustering(redis => redis.ConfigurationOptions = RedisOf(address));
                            break;
                        case ClusterKind.Postgres:
                            client.UseAdoNetClustering(ado =>
                                (ado.Invariant, ado.ConnectionString) = (Invariant, address.Store)
                            );
                            break;
                        default:
                            client.UseStaticClustering(new IPEndPoint(IPAddress.Loopback, address.GatewayPort));
                            break;
                    }

                    if (certificate is not null)
                        client.UseTls(certificate.Own, certificate.Configure);
                    client.UseConnectionRetryFilter(
                        async (error, token) =>
                        {
                            say?.Invoke($"There is no coordinator yet ({FirstLine(error)}); trying again.");
                            await Task.Delay(LookForGateways, token).ConfigureAwait(false);
                            return !stop.IsCancellationRequested;
                        }
                    );
                }),
            null,
            stop
        );

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(StopTime);
        using (host)
        {
            try
            {
                await host.StopAsync(limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // Nobody answers the goodbye message: the process ends without it.
            }
        }
    }

    private static async Task<ClusterNode> Start(
        ClusterAddress address,
        Action<IHostApplicationBuilder> configure,
        int? dashboardPort,
        CancellationToken stop
    )
    {
        if (address.Kind == ClusterKind.Postgres)
        {
            try
            {
                await PostgresSchema.Ensure(address.Store, stop).ConfigureAwait(false);
            }
            catch (Npgsql.NpgsqlException error)
            {
                throw Unreachable(error);
            }
        }

        var host = dashboardPort is { } port ? WithDashboard(configure, port) : WithoutPages(configure);
        try
        {
            await host.StartAsync(stop).ConfigureAwait(false);
            return new ClusterNode(host);
        }
        catch (Exception error)
        {
            host.Dispose();
            if (error is RedisException or Npgsql.NpgsqlException)
                throw Unreachable(error);
            throw;
        }
    }

    private static IHost WithoutPages(Action<IHostApplicationBuilder> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Logging.ClearProviders();
        configure(builder);
        return builder.Build();
    }

    /// <summary>A host with the dashboard, on the loopback interface only: the dashboard asks for no
    /// password.</summary>
    private static WebApplication WithDashboard(Action<IHostApplicationBuilder> configure, int port)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        builder.Services.AddRoutingCore();
        configure(builder);
        var application = builder.Build();
        application.MapOrleansDashboard();
        return application;
    }

    private static void Configure(
        ISiloBuilder silos,
        ClusterAddress address,
        CoordinatorOptions options,
        int siloPort,
        int gatewayPort
    )
    {
        Shared(silos.Services);
        silos.Services.AddKeyedSingleton(LeaseClock.Key, options.Clock);
        switch (address.Kind)
        {
            case ClusterKind.Redis:
                silos.UseRedisClustering(redis => redis.ConfigurationOptions = RedisOf(address));
                silos.AddRedisGrainStorage(Segments.Store, redis =>
                {
                    redis.ConfigurationOptions = RedisOf(address);
                    redis.DeleteStateOnClear = true;
                });
                break;
            case ClusterKind.Postgres:
                silos.UseAdoNetClustering(ado => (ado.Invariant, ado.ConnectionString) = (Invariant, address.Store));
                silos.AddAdoNetGrainStorage(Segments.Store, ado =>
                    (ado.Invariant, ado.ConnectionString, ado.DeleteStateOnClear) = (Invariant, address.Store, true)
                );
                break;
            default:
                silos.UseDevelopmentClustering(new IPEndPoint(options.Address, siloPort));
                silos.AddMemoryGrainStorage(Segments.Store);
                break;
        }

        silos.ConfigureEndpoints(options.Address, siloPort, gatewayPort);
        if (options.Certificate is { } certificate)
            silos.UseTls(certificate.Own, certificate.Configure);
        if (options.DashboardPort is not null)
            silos.AddDashboard();
        silos.Configure<SiloMessagingOptions>(messaging => messaging.ResponseTimeout = AnswerTime);
    }

    private static void Shared(IServiceCollection services)
    {
        services.Configure<ClusterOptions>(cluster => (cluster.ClusterId, cluster.ServiceId) = (Name, Name));
        services.Configure<ClientMessagingOptions>(messaging => messaging.ResponseTimeout = AnswerTime);
        services.Configure<GatewayOptions>(gateways => gateways.GatewayListRefreshPeriod = LookForGateways);
    }

    private static ConfigurationOptions RedisOf(ClusterAddress address) => ConfigurationOptions.Parse(address.Store);

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static bool IsDashboardTaken(Exception? error) =>
        error is not null
        && (error is Microsoft.AspNetCore.Connections.AddressInUseException || IsDashboardTaken(error.InnerException));

    private static bool IsPortTaken(Exception? error) =>
        error switch
        {
            null => false,
            SocketException socket => socket.SocketErrorCode == SocketError.AddressAlreadyInUse,
            AggregateException several => several.InnerExceptions.Any(IsPortTaken),
            _ => IsPortTaken(error.InnerException),
        };

    private static ScaleException Unreachable(Exception error) =>
        new(
            $"The store that --cluster names cannot be reached: {FirstLine(error)}. Check the address, and that the "
                + "server is running.",
            error
        );

    private static string FirstLine(Exception error) => error.Message.Split('\n')[0].TrimEnd('.', '\r');
}
