using System.Diagnostics.Metrics;
using Prometheus;
using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Operation;

/// <summary>
/// Exports the instruments of <see cref="ServingMetrics"/> as Prometheus metrics, together with metrics of the
/// process (memory, CPU time).
/// </summary>
internal sealed class MetricsExporter : IDisposable
{
    // csharpier-ignore
    /// <summary>Bucket bounds of histograms of times, in seconds.</summary>
    private static readonly double[] Seconds =
    [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
    ];

    /// <summary>Bucket bounds of the histogram of batch sizes, in rows.</summary>
    private static readonly double[] Rows = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    private readonly CollectorRegistry registry = Metrics.NewCustomRegistry();
    private readonly MetricFactory factory;
    private readonly MeterListener listener = new();

    /// <summary>Starts to collect measurements.</summary>
    /// <param name="meters">The application's meter factory; each application in a process has its own.</param>
    public MetricsExporter(IMeterFactory meters)
    {
        factory = Metrics.WithCustomRegistry(registry);
        DotNetStats.Register(registry);
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == ServingMetrics.Name && ReferenceEquals(instrument.Meter.Scope, meters))
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>(
            (instrument, value, labels, _) => Record(instrument, value, labels)
        );
        listener.SetMeasurementEventCallback<int>((instrument, value, labels, _) => Record(instrument, value, labels));
        listener.SetMeasurementEventCallback<long>((instrument, value, labels, _) => Record(instrument, value, labels));
        listener.Start();
    }

    /// <summary>Writes all metrics in the Prometheus text format.</summary>
    /// <param name="target">The stream to write to.</param>
    /// <param name="stop">Cancels writing.</param>
    public async Task WriteAsync(Stream target, CancellationToken stop)
    {
        listener.RecordObservableInstruments();
        await registry.CollectAndExportAsTextAsync(target, stop).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose() => listener.Dispose();

    /// <summary>Adds one measurement to the Prometheus metric that corresponds to its instrument.</summary>
    /// <param name="instrument">The instrument that measured.</param>
    /// <param name="value">The measured value.</param>
    /// <param name="labels">The measurement's labels.</param>
    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        string[] names = new string[labels.Length],
            values = new string[labels.Length];
        for (var index = 0; index < labels.Length; index++)
        {
            names[index] = labels[index].Key;
            values[index] = $"{labels[index].Value}";
        }

        // The factory returns an existing metric of the same name.
        var help = instrument.Description ?? "";
        switch (instrument)
        {
            case Counter<long>:
                factory.CreateCounter(instrument.Name, help, names).WithLabels(values).Inc(value);
                break;
            case ObservableInstrument<int>:
                factory.CreateGauge(instrument.Name, help, names).WithLabels(values).Set(value);
                break;
            default:
                var buckets = instrument.Unit == "{row}" ? Rows : Seconds;
                factory
                    .CreateHistogram(instrument.Name, help, names, new HistogramConfiguration { Buckets = buckets })
                    .WithLabels(values)
                    .Observe(value);
                break;
        }
    }
}
