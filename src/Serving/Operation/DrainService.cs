using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Between the order to stop and the end of listening: the server says that it is not ready and closes connections
/// after their answers, so that whoever balances load goes elsewhere, and no request arrives on a connection that is
/// being closed.
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
