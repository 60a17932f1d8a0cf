using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// Registers TorchBridge classifiers in ASP.NET Core and worker services: one per process, or several by name, each
/// with a health check.
/// </summary>
public static class ServiceCollectionExtensions
{
    /// <summary>Name of the health check; a named classifier has <c>image_classifier_NAME</c>.</summary>
    public const string HealthCheckName = "image_classifier";

    /// <summary>
    /// Adds a singleton <see cref="ImageClassifierService"/> and its health check. The model is loaded on first use.
    /// While the file is missing, requests get a <see cref="ModelUnavailableException"/>; the file is loaded when it
    /// appears.
    /// </summary>
    /// <param name="services">The service collection.</param>
    /// <param name="path">A classifier's ONNX file; it is reloaded when its content changes.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>The service collection, for chaining.</returns>
    /// <exception cref="ArgumentException">A classifier is already registered; a second one needs a name.</exception>
    public static IServiceCollection AddImageClassifier(
        this IServiceCollection services,
        string path,
        SessionSettings? settings = null
    )
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (services.Any(service => service.ServiceType == typeof(ImageClassifierService) && !service.IsKeyedService))
            throw new ArgumentException(
                "an image classifier is already registered. Give the second one a name: AddImageClassifier(name, "
                    + "path)",
                nameof(services)
            );
        services.AddSingleton(_ => new ImageClassifierService(path, settings, clock: null, needsModel: false));
        AddCheck(services, HealthCheckName, provider => provider.GetRequiredService<ImageClassifierService>());
        return services;
    }

    /// <summary>
    /// Adds a named classifier as a keyed service, <c>[FromKeyedServices("name")] ImageClassifierService</c>, with
    /// its own health check.
    /// </summary>
    /// <param name="services">The service collection.</param>
    /// <param name="name">Key of the service; its health check is named <c>image_classifier_NAME</c>.</param>
    /// <param name="path">A classifier's ONNX file; it is reloaded when its content changes.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>The service collection, for chaining.</returns>
    /// <exception cref="ArgumentException">A classifier with this name is already registered.</exception>
    public static IServiceCollection AddImageClassifier(
        this IServiceCollection services,
        string name,
        string path,
        SessionSettings? settings = null
    )
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (
            services.Any(service =>
                service.ServiceType == typeof(ImageClassifierService)
                && service.IsKeyedService
                && name.Equals(service.ServiceKey)
            )
        )
            throw new ArgumentException(
                $"an image classifier named '{name}' is already registered; choose another name",
                nameof(name)
            );
        services.AddKeyedSingleton(name, (_, _) =>
            new ImageClassifierService(path, settings, clock: null, needsModel: false)
        );
        AddCheck(services, $"{HealthCheckName}_{name}", provider =>
            provider.GetRequiredKeyedService<ImageClassifierService>(name)
        );
        return services;
    }

    /// <summary>Adds a health check that reports failures as unhealthy.</summary>
    /// <param name="services">The service collection.</param>
    /// <param name="name">Name of the health check.</param>
    /// <param name="service">Resolves the classifier's service.</param>
    private static void AddCheck(
        IServiceCollection services,
        string name,
        Func<IServiceProvider, ImageClassifierService> service
    ) =>
        services
            .AddHealthChecks()
            .Add(
                new HealthCheckRegistration(
                    name,
                    provider => new ImageClassifierHealthCheck(service(provider)),
                    failureStatus: null,
                    tags: null
                )
            );
}
