using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// TorchBridge in ASP.NET and worker services: one classifier per process, or several by name, each with a health
/// check.
/// </summary>
public static class ServiceCollectionExtensions
{
    /// <summary>Name of the health check; that of a named classifier is <c>image_classifier_NAME</c>.</summary>
    public const string HealthCheckName = "image_classifier";

    /// <summary>
    /// Adds an <see cref="ImageClassifierService"/>, one for the process, and its health check. The model is loaded
    /// at the first use; where there is none yet, requests get a <see cref="ModelUnavailableException"/>, and the
    /// file is taken when it comes.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="path">A classifier's ONNX file; it is loaded anew when its content changes.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>The services, for more calls.</returns>
    /// <exception cref="ArgumentException">There is one already; a second one needs a name.</exception>
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
                "there is an image classifier already. Give the second one a name: AddImageClassifier(name, path)",
                nameof(services)
            );
        services.AddSingleton(_ => new ImageClassifierService(path, settings, clock: null, needsModel: false));
        AddCheck(services, HealthCheckName, provider => provider.GetRequiredService<ImageClassifierService>());
        return services;
    }

    /// <summary>
    /// Adds a named classifier beside others: a keyed service, <c>[FromKeyedServices("name")]
    /// ImageClassifierService</c>, with a health check of its own.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="name">Its key; its health check is <c>image_classifier_NAME</c>.</param>
    /// <param name="path">A classifier's ONNX file; it is loaded anew when its content changes.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    /// <returns>The services, for more calls.</returns>
    /// <exception cref="ArgumentException">There is one of this name already.</exception>
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
            throw new ArgumentException($"there is an image classifier named '{name}' already", nameof(name));
        services.AddKeyedSingleton(name, (_, _) =>
            new ImageClassifierService(path, settings, clock: null, needsModel: false)
        );
        AddCheck(services, $"{HealthCheckName}_{name}", provider =>
            provider.GetRequiredKeyedService<ImageClassifierService>(name)
        );
        return services;
    }

    /// <summary>Adds a health check, whose failure is unhealthy.</summary>
    /// <param name="services">The application's.</param>
    /// <param name="name">Name of the health check.</param>
    /// <param name="service">What gives the classifier's service.</param>
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
