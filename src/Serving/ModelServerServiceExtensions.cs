using Grpc.AspNetCore.Server;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Page;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving;

/// <summary>Adds the model server to an ASP.NET Core application: <c>builder.Services.AddModelServer()</c>.</summary>
public static class ModelServerServiceExtensions
{
    /// <summary>
    /// Adds the model server; a background service loads the folder of models and watches it for changes. Options
    /// come from the configuration section <see cref="ModelServerOptions.Section"/> and then from
    /// <paramref name="configure"/>; invalid options are an error at startup.
    /// </summary>
    /// <param name="services">The services of the application.</param>
    /// <param name="configure">Sets options; null to use the configuration alone.</param>
    /// <returns>The same services, so that calls can be chained.</returns>
    public static IServiceCollection AddModelServer(
        this IServiceCollection services,
        Action<ModelServerOptions>? configure = null
    )
    {
        ArgumentNullException.ThrowIfNull(services);
        services
            .AddOptions<ModelServerOptions>()
            .BindConfiguration(ModelServerOptions.Section, binder => binder.ErrorOnUnknownConfiguration = true)
            .Configure(options => configure?.Invoke(options))
            .ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<ModelServerOptions>, ModelServerOptionsCheck>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<ModelServerOptions>>().Value);
        services.AddSingleton(provider => LimitsOf(provider.GetRequiredService<ModelServerOptions>()));
        services.AddSingleton<ModelRegistry>();
        services.TryAddSingleton<IModelProbe, ChildProcessProbe>();
        services.AddSingleton<ModelLoader>();
        services.AddSingleton(provider =>
            ActivatorUtilities.CreateInstance<ModelRepository>(
                provider,
                provider.GetRequiredService<ModelServerOptions>().Models
            )
        );
        services.AddSingleton<ServingMetrics>();
        services.AddSingleton<PictureDoor>();
        services.AddSingleton<InferenceEngine>();
        services.AddSingleton<RequestGate>();
        services.AddSingleton<ServerState>();
        services.AddSingleton<ApiKey>();
        services.AddSingleton<GuardedHandler>();
        services.AddSingleton<MetadataEndpoints>();
        services.AddSingleton<InferEndpoint>();
        services.AddSingleton<ClassifyEndpoint>();
        services.AddSingleton<PageEndpoint>();
        services.AddHostedService<ModelWatcher>();
        services.AddHostedService<DrainService>();
        services.AddGrpc();
        services
            .AddOptions<GrpcServiceOptions>()
            .Configure<ModelServerOptions>(
                (grpc, options) =>
                {
                    grpc.MaxReceiveMessageSize = options.MaxRequestBytes;
                    grpc.MaxSendMessageSize = null;
                }
            );
        return services;
    }

    /// <summary>The limits that the protocol's readers enforce on a request.</summary>
    /// <param name="options">The server's options.</param>
    private static ProtocolLimits LimitsOf(ModelServerOptions options) =>
        new()
        {
            JsonDepth = options.MaxJsonDepth,
            Tensors = options.MaxTensors,
            Bytes = options.MaxRequestBytes,
        };
}
