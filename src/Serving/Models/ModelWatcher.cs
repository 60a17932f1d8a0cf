namespace TorchBridge.Serving.Models;

/// <summary>
/// Background service that scans the models' folder at startup and at regular intervals, and retires all models at
/// shutdown.
/// </summary>
internal sealed partial class ModelWatcher(
    ModelRepository repository,
    ModelRegistry registry,
    ModelServerOptions options,
    TimeProvider clock,
    ILogger<ModelWatcher> log
) : BackgroundService
{
    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield(); // so that the server already listens while models are loaded
        await LookAsync(stoppingToken).ConfigureAwait(false);
        if (options.ReloadMilliseconds == 0)
            return;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(options.ReloadMilliseconds), clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
                await LookAsync(stoppingToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The server is stopping.
        }
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        // The web server has stopped already, so only requests that were cut off may still use a version.
        await registry.CloseAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Makes one scan on the thread pool and logs any error.</summary>
    /// <param name="stop">Cancelled when the server stops.</param>
    private async Task LookAsync(CancellationToken stop)
    {
        try
        {
            await Task.Run(repository.Look, stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Whatever the folder contains, the loaded models stay in use.
            registry.IsFirstLoadDone = true;
            LogFailed(error);
        }
    }

    /// <summary>Logs an unexpected error during a scan.</summary>
    /// <param name="error">The exception; the next scan is made all the same.</param>
    [LoggerMessage(LogLevel.Error, "the models' folder could not be scanned; what was loaded before stays in use")]
    private partial void LogFailed(Exception error);
}
