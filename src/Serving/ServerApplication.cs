using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using OpenTelemetry.Trace;
using Prometheus;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving;

/// <summary>The program's application: the services and endpoints that anybody may have, and where it
/// listens.</summary>
internal static partial class ServerApplication
{
    private const string MetricsPath = "/metrics";

    /// <summary>Builds it.</summary>
    /// <param name="settings">The arguments, as configuration.</param>
    /// <returns>The application, ready to run.</returns>
    public static WebApplication Build(IReadOnlyDictionary<string, string?> settings)
    {
        var builder = WebApplication.CreateBuilder(
            new WebApplicationOptions
            {
                EnvironmentName = settings.GetValueOrDefault("environment"),
                ApplicationName = typeof(ServerApplication).Assembly.GetName().Name,
            }
        );
        builder.Configuration.AddInMemoryCollection(settings);
        builder
            .Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning)
            .AddFilter("Grpc", LogLevel.Warning)
            .AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);
        builder.Services.AddModelServer();
        AddTraces(builder);
        var addresses = ListenAddresses.Read(builder.Configuration);
        // Kestrel would warn that both are set: where it listens is said here.
        if (addresses is not null)
            builder.WebHost.UseSetting(WebHostDefaults.ServerUrlsKey, "");
        if (addresses is not null)
            builder.Services.AddSingleton(addresses);
        builder.WebHost.ConfigureKestrel((_, kestrel) => Configure(kestrel, addresses));
        builder
            .Services.AddOptions<HostOptions>()
            .Configure<ModelServerOptions>(
                (host, options) =>
                    host.ShutdownTimeout = TimeSpan.FromMilliseconds(
                        options.DrainMilliseconds + options.GraceMilliseconds
                    )
            );
        builder.Services.AddCors();

        var app = builder.Build();
        var options = app.Services.GetRequiredService<ModelServerOptions>();
        if (ModelServerOptionsCheck.OriginsOf(options) is { Length: > 0 } origins)
            app.UseCors(policy =>
                policy
                    .WithOrigins(origins)
                    .AllowAnyHeader()
                    .AllowAnyMethod()
                    .WithExposedHeaders(Protocol.BinaryBody.LengthHeader)
            );
        app.MapOpenInference();
        app.MapModelPage();
        if (addresses?.Metrics is not null)
            MapMetrics(app, addresses);
        return app;
    }

    /// <summary>The web server's limits, and where it listens.</summary>
    private static void Configure(
        Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions kestrel,
        ListenAddresses? addresses
    )
    {
        var options = kestrel.ApplicationServices.GetRequiredService<ModelServerOptions>();
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = options.MaxConnections;
        kestrel.Limits.MaxRequestBodySize = options.MaxRequestBytes;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        kestrel.Limits.MinRequestBodyDataRate =
            options.MinBytesPerSecond == 0 ? null : new(options.MinBytesPerSecond, TimeSpan.FromSeconds(5));
        // A gRPC message is in memory before it is counted: a connection has few at once.
        kestrel.Limits.Http2.MaxStreamsPerConnection = Math.Min(100, options.MaxConcurrentRequests);
        kestrel.ConfigureEndpointDefaults(listen => listen.UseLingeringClose());
        addresses?.Listen(kestrel);
    }

    /// <summary>
    /// Traces go where the environment says (OTEL_EXPORTER_OTLP_ENDPOINT); without it nothing is collected.
    /// </summary>
    /// <param name="builder">The application; traces are exported where the environment names a collector.</param>
    private static void AddTraces(WebApplicationBuilder builder)
    {
        if (string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
            return;
        builder
            .Services.AddOpenTelemetry()
            .WithTracing(tracing => tracing.AddSource(ServingMetrics.Name, "Microsoft.AspNetCore").AddOtlpExporter());
    }

    /// <summary>Metrics have a port of their own: who may ask for answers need not see how many others ask.</summary>
    /// <param name="app">The application.</param>
    /// <param name="addresses">Metrics answer at their own address only.</param>
    private static void MapMetrics(WebApplication app, ListenAddresses addresses)
    {
        var guard = app.Services.GetRequiredService<GuardedHandler>();
        var exporter = new MetricsExporter(app.Services.GetRequiredService<IMeterFactory>());
        app.Lifetime.ApplicationStopped.Register(exporter.Dispose);
        app.Map(
            MetricsPath,
            guard.Guard(async context =>
            {
                if (context.Connection.LocalPort != PortOf(app, addresses.All.Count() - 1))
                {
                    await ErrorReply
                        .WriteAsync(context, StatusCodes.Status404NotFound, "metrics have an address of their own")
                        .ConfigureAwait(false);
                    return;
                }

                context.Response.ContentType = PrometheusConstants.TextContentType;
                await exporter.WriteAsync(context.Response.Body, context.RequestAborted).ConfigureAwait(false);
            })
        );
        app.Use(
            (context, next) =>
                context.Connection.LocalPort != PortOf(app, addresses.All.Count() - 1)
                || context.Request.Path == MetricsPath
                    ? next(context)
                    : ErrorReply.WriteAsync(context, StatusCodes.Status404NotFound, $"here is {MetricsPath} only")
        );
    }

    /// <summary>Says where it listens, and warns of addresses that others reach.</summary>
    /// <param name="app">The running application.</param>
    public static void Announce(WebApplication app)
    {
        var options = app.Services.GetRequiredService<ModelServerOptions>();
        var addresses = app.Services.GetService<ListenAddresses>();
        Console.WriteLine($"TorchBridge serves the models of {Path.GetFullPath(options.Models)}");
        if (addresses is null)
            return;
        var log = app.Services.GetRequiredService<ILogger<ModelServerOptions>>();
        var urls = UrlsOf(app);
        for (var index = 0; index < addresses.Rest.Count; index++)
            Console.WriteLine($"  page {urls[index]}/  REST {urls[index]}/v2");
        if (addresses.Grpc is not null)
            Console.WriteLine($"  gRPC {urls[addresses.Rest.Count]}");
        if (addresses.Metrics is not null)
            Console.WriteLine($"  metrics {urls[^1]}{MetricsPath}");
        foreach (var address in addresses.All.Where(address => !ListenAddresses.IsLoopback(address)))
            LogOpen(log, address.ToString(), options.ApiKey is null ? "without a key" : "with a key");
    }

    /// <summary>The addresses as they were opened: a port of 0 has become a real one.</summary>
    /// <param name="app">Started.</param>
    private static string[] UrlsOf(WebApplication app) =>
        [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    /// <summary>The port of an address by its place in the list.</summary>
    /// <param name="app">Started.</param>
    /// <param name="index">Of the address.</param>
    private static int PortOf(WebApplication app, int index) => BindingAddress.Parse(UrlsOf(app)[index]).Port;

    /// <summary>An address is open to other machines.</summary>
    /// <param name="log">The application's.</param>
    /// <param name="address">Reached from other machines.</param>
    /// <param name="key">Whether a key is asked for there.</param>
    [LoggerMessage(LogLevel.Warning, "{Address} is open to other machines, {Key}; put a gateway with TLS before it")]
    private static partial void LogOpen(ILogger log, string address, string key);
}
