using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace TorchBridge.Inference.Hosting;

/// <summary>
/// Reports healthy if the model computes the same results on this machine as where it was exported; degraded if a new
/// version of the file could not be loaded or the model contains no self-check; unhealthy if it computes different
/// results, cannot run, or is missing.
/// </summary>
/// <param name="service">The classifier.</param>
public sealed class ImageClassifierHealthCheck(ImageClassifierService service) : IHealthCheck
{
    /// <summary>
    /// Runs the self-check, or classifies a black picture if the model contains none; takes milliseconds on the
    /// caller's thread.
    /// </summary>
    /// <param name="context">Not used.</param>
    /// <param name="cancellationToken">Not used: the check is short.</param>
    /// <returns>Healthy, degraded or unhealthy, with the reason.</returns>
    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context,
        CancellationToken cancellationToken = default
    ) => Task.FromResult(Check());

    /// <summary>
    /// Healthy if the self-check passes; degraded if the model contains none.
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
                    $"the model runs but contains no self-check ({SelfCheck.Key}); export it again"
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
