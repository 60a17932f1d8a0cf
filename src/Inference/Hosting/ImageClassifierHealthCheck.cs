using Microsoft.Extensions.Diagnostics.HealthChecks;
using TorchBridge.Onnx;

namespace TorchBridge.Inference.Hosting;

/// <summary>Healthy where the model computes on this machine what the trained network computed; degraded where a new file could not be loaded.</summary>
/// <param name="service">The classifier.</param>
public sealed class ImageClassifierHealthCheck(ImageClassifierService service) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var check = service.Use(classifier => classifier.Verify());
            if (!check.Passed) return Task.FromResult(HealthCheckResult.Unhealthy(FormattableString.Invariant($"the self-check fails: {check.Agree} of {check.Pictures} pictures agree, largest difference {Numbers.Short(check.LargestDifference)}, allowed {Numbers.Short(check.Tolerance)}")));
            return Task.FromResult(service.ReloadError is { } error
                ? HealthCheckResult.Degraded(error)
                : HealthCheckResult.Healthy(FormattableString.Invariant($"{check.Agree} of {check.Pictures} pictures agree, largest difference {Numbers.Short(check.LargestDifference)}")));
        }
        catch (InvalidDataException error)
        {
            return Task.FromResult(HealthCheckResult.Degraded(error.Message));
        }
    }
}
