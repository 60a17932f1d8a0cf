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

/// <summary>How a coordinator is reached.</summary>
internal sealed record CoordinatorOptions
{
    /// <summary>The address that it listens at.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>Where workers come in; null for the cluster's own.</summary>
    public int? GatewayPort { get; init; }

    /// <summary>Where other coordinators come in; null for a thousand below the gateway.</summary>
    public int? SiloPort { get; init; }

    /// <summary>The clock that leases run by.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Certificate and key of the cluster; null for plain connections.</summary>
    public ClusterCertificate? Certificate { get; init; }

    /// <summary>Where this machine finds the page of the Orleans dashboard; null for none.</summary>
    public int? DashboardPort { get; init; }
}

/// <summary>A part of a cluster: a coordinator, which keeps books, or a connection to one.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    private const string Name = "torchbridge";
    private const string Invariant = "Npgsql";
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LookForGateways = TimeSpan.FromSeconds(2);
    private readonly IHost host;

    private ClusterNode(IHost host) => (this.host, Client) = (host, host.Services.GetRequiredService<IClusterClient>());

    /// <summary>Speaks to the grains.</summary>
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
        // Two ports that are free now may be taken a moment later: then two others.
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
                    $"--dashboard {options.DashboardPort}: another program listens there. Name another port, or leave it out.",
                    error
                );
            }
            catch (Exception error) when (IsPortTaken(error))
            {
                if (!isEmbedded || attempt == 4)
                    throw new ScaleException(
                        $"The coordinator cannot listen at {options.Address}, ports {silo} and {gateway}: another one is there. "
                            + "Wait for its end, or name another port: --cluster localhost:PORT.",
                        error
                    );
            }
        }
    }

    /// <summary>Connects to a coordinator; waits for one where there is none yet.</summary>
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
                            say?.Invoke($"No coordinator answers yet ({FirstLine(error)}); trying again.");
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
                // Nobody answers to the farewell: the process leaves without it.
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

    /// <summary>A host with the dashboard's page, for this machine alone: it shows the books to whoever asks.</summary>
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
        new($"The store of the cluster cannot be reached: {FirstLine(error)}.", error);

    private static string FirstLine(Exception error) => error.Message.Split('\n')[0].TrimEnd('.', '\r');
}
