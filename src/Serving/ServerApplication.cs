using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using OpenTelemetry.Trace;
using Prometheus;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving;

/// <summary>
/// The ASP.NET Core application of the server program: the public services and endpoints, plus addresses, metrics and
/// traces.
/// </summary>
internal static partial class ServerApplication
{
    private const string MetricsPath = "/metrics";

    /// <summary>Builds the application.</summary>
    /// <param name="settings">The program's arguments as configuration keys and values.</param>
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
        // Kestrel warns if both are set; the addresses are set in code below.
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

    /// <summary>Sets the web server's limits and addresses.</summary>
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
        // A gRPC message is in memory before its bytes are counted, so the streams per connection are limited.
        kestrel.Limits.Http2.MaxStreamsPerConnection = Math.Min(100, options.MaxConcurrentRequests);
        kestrel.ConfigureEndpointDefaults(listen => listen.UseLingeringClose());
        addresses?.Listen(kestrel);
    }

    /// <summary>
    /// Exports traces to the collector named by OTEL_EXPORTER_OTLP_ENDPOINT; without that setting none are collected.
    /// </summary>
    /// <param name="builder">The application being built.</param>
    private static void AddTraces(WebApplicationBuilder builder)
    {
        if (string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
            return;
        builder
            .Services.AddOpenTelemetry()
            .WithTracing(tracing => tracing.AddSource(ServingMetrics.Name, "Microsoft.AspNetCore").AddOtlpExporter());
    }

    /// <summary>
    /// Serves the metrics on a port of their own: clients that may send requests should not see how many others do.
    /// </summary>
    /// <param name="app">The application.</param>
    /// <param name="addresses">The addresses; the last one is that of the metrics.</param>
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
                        .WriteAsync(
                            context,
                            StatusCodes.Status404NotFound,
                            "metrics are served only at the address of --metrics-url"
                        )
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
                    : ErrorReply.WriteAsync(
                        context,
                        StatusCodes.Status404NotFound,
                        $"this address serves only {MetricsPath}"
                    )
        );
    }

    /// <summary>Prints the addresses, and warns of those that other machines can reach.</summary>
    /// <param name="app">The running application.</param>
    public static void Announce(WebApplication app)
    {
        var options = app.Services.GetRequiredService<ModelServerOptions>();
        var addresses = app.Services.GetService<ListenAddresses>();
        Console.WriteLine($"TorchBridge serves the models in {Path.GetFullPath(options.Models)}");
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

    /// <summary>The addresses in use, with the actual port where port 0 was asked for.</summary>
    /// <param name="app">The running application.</param>
    private static string[] UrlsOf(WebApplication app) =>
        [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    /// <summary>The port of an address.</summary>
    /// <param name="app">The running application.</param>
    /// <param name="index">Index of the address, in the order of <see cref="ListenAddresses.All"/>.</param>
    private static int PortOf(WebApplication app, int index) => BindingAddress.Parse(UrlsOf(app)[index]).Port;

    /// <summary>Warns that an address can be reached from other machines.</summary>
    /// <param name="log">The application's log.</param>
    /// <param name="address">The address.</param>
    /// <param name="key">Says whether a key is required.</param>
    [LoggerMessage(
        LogLevel.Warning,
        "{Address} is open to other machines, {Key}; put a gateway with TLS in front of it"
    )]
    private static partial void LogOpen(ILogger log, string address, string key);
}
