using System.Diagnostics.Metrics;
using Prometheus;

namespace TorchBridge.Serving.Operation;

/// <summary>Turns our meter's instruments, and .NET's own of the web server and the process, into Prometheus metrics.</summary>
internal sealed class MetricsExporter : IDisposable
{
    private static readonly double[] Seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
    private static readonly double[] Rows = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    private readonly IDisposable adapter;

    /// <summary>Starts to listen.</summary>
    /// <param name="registry">Where the metrics go.</param>
    /// <param name="meters">The application's: another application in the same process has its own.</param>
    public MetricsExporter(CollectorRegistry registry, IMeterFactory meters) => adapter = MeterAdapter.StartListening(new MeterAdapterOptions
    {
        Registry = registry,
        InstrumentFilterPredicate = instrument => instrument.Meter is { Name: "System.Runtime" }
            || (instrument.Meter is { Name: ServingMetrics.Name or "Microsoft.AspNetCore.Server.Kestrel" } meter && ReferenceEquals(meter.Scope, meters)),
        ResolveHistogramBuckets = BucketsOf,
    });

    /// <inheritdoc/>
    public void Dispose() => adapter.Dispose();

    private static double[] BucketsOf(Instrument instrument) => instrument.Unit == "{row}" ? Rows : Seconds;
}
