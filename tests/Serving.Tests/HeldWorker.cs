using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using TorchBridge.Serving.Models;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Tests;

/// <summary>
/// Holds the worker of a server's models after its next run, until it is let go: the worker tells the meter of a run
/// before it completes the run's requests. So a test can fill the queue behind a request that certainly runs.
/// </summary>
internal sealed class HeldWorker : IDisposable
{
    private readonly ManualResetEventSlim free = new();
    private readonly TaskCompletionSource held = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly MeterListener listener = new();

    public HeldWorker(TestServer server)
    {
        var meters = server.Services.GetRequiredService<IMeterFactory>();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (
                instrument.Name == "torchbridge_batch_rows"
                && instrument.Meter.Name == ServingMetrics.Name
                && ReferenceEquals(instrument.Meter.Scope, meters)
            )
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>(
            (_, _, _, _) =>
            {
                held.TrySetResult();
                free.Wait();
            }
        );
        listener.Start();
    }

    /// <summary>Ends when the worker stands still.</summary>
    public Task IsHeld => held.Task;

    /// <summary>Lets it go, for good.</summary>
    public void LetGo() => free.Set();

    public void Dispose()
    {
        free.Set();
        listener.Dispose();
    }
}
