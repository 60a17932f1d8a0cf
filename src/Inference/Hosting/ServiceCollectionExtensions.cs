using Microsoft.Extensions.DependencyInjection;

namespace TorchBridge.Inference.Hosting;

/// <summary>TorchBridge in ASP.NET and worker services.</summary>
public static class ServiceCollectionExtensions
{
    /// <summary>Name of the health check.</summary>
    public const string HealthCheckName = "image_classifier";

    /// <summary>Adds an <see cref="ImageClassifierService"/>, one for the process, and its health check. The model is loaded at the first use.</summary>
    /// <param name="services">The services.</param>
    /// <param name="path">A classifier's ONNX file; it is loaded anew when it changes.</param>
    /// <param name="settings">Threads and execution providers; null for the defaults.</param>
    public static IServiceCollection AddImageClassifier(this IServiceCollection services, string path, SessionSettings? settings = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        services.AddSingleton(_ => new ImageClassifierService(path, settings));
        services.AddHealthChecks().AddCheck<ImageClassifierHealthCheck>(HealthCheckName);
        return services;
    }
}
