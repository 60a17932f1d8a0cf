using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// Healthy where the model computes on this machine what its maker's computed; degraded where a new file could not be
/// taken, or the model carries no self-check; unhealthy where it computes something else, cannot run, or is not
/// there.
/// </summary>
/// <param name="service">The classifier.</param>
public sealed class ImageClassifierHealthCheck(ImageClassifierService service) : IHealthCheck
{
    /// <summary>
    /// Runs the self-check, or a black picture where the model carries none; on the caller's thread, in milliseconds.
    /// </summary>
    /// <param name="context">Not read.</param>
    /// <param name="cancellationToken">Not read: the check is short.</param>
    /// <returns>Healthy, degraded or unhealthy, with the reason.</returns>
    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    ) => Task.FromResult(Check());

    /// <summary>
    /// Healthy where the self-check passes; degraded where the model carries none.
    /// </summary>
    private HealthCheckResult Check()
    {
        try
        {
            var check = service.Use(classifier => classifier.TryOut());
            if (check is { Passed: false })
                return HealthCheckResult.Unhealthy($"the self-check fails: {ImageClassifierService.Describe(check)}");
            if (service.ReloadError is { } error)
                return HealthCheckResult.Degraded(error);
            return check is null
                ? HealthCheckResult.Degraded(
                    $"the model runs, and carries no self-check ({SelfCheck.Key}); export it anew"
                )
                : HealthCheckResult.Healthy(ImageClassifierService.Describe(check));
        }
        catch (Exception error)
            when (error is ModelUnavailableException or InvalidDataException or ObjectDisposedException)
        {
            return HealthCheckResult.Unhealthy(error.Message, error);
        }
    }
}
