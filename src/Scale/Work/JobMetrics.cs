using System.Diagnostics.Metrics;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Scale.Work;

/// <summary>A job's progress as metrics for OpenTelemetry: the gauge <c>torchbridge.items</c> by state, and the
/// counter <c>torchbridge.failed_attempts</c>.</summary>
internal sealed class JobMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string Name = "TorchBridge.Scale";

    private readonly Meter meter = new(Name);
    private JobProgress progress = new();

    /// <summary>Starts reporting a job.</summary>
    /// <param name="job">The job's key.</param>
    public JobMetrics(string job)
    {
        meter.CreateObservableCounter(
            "torchbridge.failed_attempts",
            () =>
                new Measurement<int>(
                    Volatile.Read(ref progress).FailedAttempts,
                    new KeyValuePair<string, object?>("job", job)
                ),
            "{attempt}",
            "Failed attempts at a job's items: errors, crashes, and leases that expired."
        );
        meter.CreateObservableGauge(
            "torchbridge.items",
            () =>
            {
                var now = Volatile.Read(ref progress);
                Measurement<int> Of(string state, int count) =>
                    new(
                        count,
                        new KeyValuePair<string, object?>("job", job),
                        new KeyValuePair<string, object?>("state", state)
                    );
                return (Measurement<int>[])
                    [
                        Of("done", now.Done),
                        Of("leased", now.Leased),
                        Of("set_aside", now.SetAside),
                        Of("held", now.Held),
                        Of("pending", now.Count - now.Done - now.Leased - now.SetAside - now.Held),
                    ];
            },
            "{item}",
            "Items of a job, by state."
        );
    }

    /// <summary>Sets the progress that is reported from now on.</summary>
    public void Set(JobProgress now) => Volatile.Write(ref progress, now);

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();
}
