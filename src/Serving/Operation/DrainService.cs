using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Delays shutdown after the signal to stop: the server keeps listening for a while, but its readiness check fails
/// and it closes each connection after its response. Load balancers thus send their requests elsewhere, and no
/// request arrives on a connection that is being closed.
/// </summary>
internal sealed class DrainService(
    ServerState state,
    RequestGate gate,
    ModelServerOptions options,
    TimeProvider clock,
    ILogger<DrainService> log
) : IHostedLifecycleService
{
    /// <inheritdoc/>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        state.Drain();
        ServingLog.Draining(log, gate.Requests);
        if (options.DrainMilliseconds > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(options.DrainMilliseconds), clock, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
