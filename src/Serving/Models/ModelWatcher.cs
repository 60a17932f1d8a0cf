namespace TorchBridge.Serving.Models;

/// <summary>Looks into the models' folder at start and again and again; retires all models at the end.</summary>
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
        await Task.Yield(); // the server listens while models are loaded
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
            // The server stops.
        }
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        // The web server has stopped before: nobody has a version any more, but for requests that were cut off.
        await registry.CloseAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>One look, on the pool; whatever goes wrong is logged, and what serves goes on serving.</summary>
    /// <param name="stop">Where the server ends.</param>
    private async Task LookAsync(CancellationToken stop)
    {
        try
        {
            await Task.Run(repository.Look, stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // Whatever a folder may hold: what serves goes on serving.
            registry.IsFirstLoadDone = true;
            LogFailed(error);
        }
    }

    /// <summary>A look failed in a way that nobody expected.</summary>
    /// <param name="error">What a look threw; the next one is made all the same.</param>
    [LoggerMessage(LogLevel.Error, "the models' folder could not be looked at; what was loaded goes on serving")]
    private partial void LogFailed(Exception error);
}
