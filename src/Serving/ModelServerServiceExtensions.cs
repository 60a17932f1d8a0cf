using Grpc.AspNetCore.Server;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using TorchBridge.Serving.Http;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;
using TorchBridge.Serving.Page;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving;

/// <summary>
/// The model server in a user's own application: <c>builder.Services.AddModelServer()</c>.
/// </summary>
public static class ModelServerServiceExtensions
{
    /// <summary>
    /// Adds the model server: the models' folder is loaded and watched by a background service. Its options are the
    /// configuration's section <see cref="ModelServerOptions.Section"/>, then what <paramref name="configure"/> sets;
    /// what cannot be is an error at start.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Sets options; null for what the configuration says.</param>
    /// <returns>The services, for more calls.</returns>
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

    /// <summary>The limits of a request that the protocol's readers check.</summary>
    /// <param name="options">What the user allows.</param>
    private static ProtocolLimits LimitsOf(ModelServerOptions options) =>
        new()
        {
            JsonDepth = options.MaxJsonDepth,
            Tensors = options.MaxTensors,
            Bytes = options.MaxRequestBytes,
        };
}
