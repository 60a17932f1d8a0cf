using System.Diagnostics;
using System.Diagnostics.Metrics;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Models;

/// <summary>
/// The server's metrics and traces, with <c>TorchBridge.Serving</c> as the name of the meter and the activity source.
/// Labels come from the table of models, never from requests.
/// </summary>
internal sealed class ServingMetrics : IDisposable
{
    /// <summary>Name of the meter and of the activity source.</summary>
    public const string Name = "TorchBridge.Serving";

    /// <summary>The meter, which owns the instruments.</summary>
    private readonly Meter meter;

    /// <summary>Time from a request's first byte to its reply, in seconds.</summary>
    private readonly Histogram<double> requestTime;

    /// <summary>Time that a request waited in the queue, in seconds.</summary>
    private readonly Histogram<double> queueTime;

    /// <summary>Duration of a run, in seconds.</summary>
    private readonly Histogram<double> runTime;

    /// <summary>Number of rows of a run.</summary>
    private readonly Histogram<int> batchRows;

    /// <summary>Number of failed runs.</summary>
    private readonly Counter<long> failures;

    /// <summary>Log for failed runs.</summary>
    private readonly ILogger<ServingMetrics> log;

    /// <summary>Creates the instruments.</summary>
    /// <param name="meters">Creates the meter, which belongs to this application only.</param>
    /// <param name="registry">The models whose queues and states are observed.</param>
    /// <param name="log">Log for failed runs.</param>
    public ServingMetrics(IMeterFactory meters, ModelRegistry registry, ILogger<ServingMetrics> log)
    {
        this.log = log;
        meter = meters.Create(Name);
        requestTime = meter.CreateHistogram<double>(
            "torchbridge_request_seconds",
            "s",
            "Time from a request's first byte to its reply, by outcome."
        );
        queueTime = meter.CreateHistogram<double>(
            "torchbridge_queue_seconds",
            "s",
            "Time that a request waited in the queue."
        );
        runTime = meter.CreateHistogram<double>("torchbridge_run_seconds", "s", "Duration of the run of a batch.");
        batchRows = meter.CreateHistogram<int>("torchbridge_batch_rows", "{row}", "Number of rows per batch.");
        failures = meter.CreateCounter<long>("torchbridge_run_failures", "{run}", "Number of failed runs.");
        meter.CreateObservableGauge(
            "torchbridge_queue_length",
            () => Versions(registry).Select(version => new Measurement<int>(version.Queue.Count, Labels(version))),
            "{request}",
            "Number of waiting requests."
        );
        meter.CreateObservableGauge(
            "torchbridge_model_ready",
            () =>
                registry.Models.Select(model => new Measurement<int>(
                    model.IsReady ? 1 : 0,
                    new TagList { { "model", model.Name } }
                )),
            null,
            "1 if a version of the model is loaded, otherwise 0."
        );
        meter.CreateObservableGauge(
            "torchbridge_model_problem",
            () =>
                registry.Models.Select(model => new Measurement<int>(
                    model.Problem is null ? 0 : 1,
                    new TagList { { "model", model.Name } }
                )),
            null,
            "1 if a version of the model cannot be served, otherwise 0."
        );
    }

    /// <summary>The source of trace activities.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>Counts a request.</summary>
    /// <param name="model">The model version; null if the request named none that exists.</param>
    /// <param name="outcome">The outcome, one of a few fixed words.</param>
    /// <param name="elapsed">Duration of the request.</param>
    public void AddRequest(ModelVersion? model, string outcome, TimeSpan elapsed) =>
        requestTime.Record(
            elapsed.TotalSeconds,
            new TagList { { "model", model?.Identity.Model ?? "" }, { "outcome", outcome } }
        );

    /// <summary>The observer that the workers of a version notify of their runs.</summary>
    /// <param name="version">A loaded version.</param>
    public IBatchObserver ObserverOf(ModelVersion version) => new Observer(this, version);

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    /// <summary>All loaded versions.</summary>
    /// <param name="registry">The table of models.</param>
    private static IEnumerable<ModelVersion> Versions(ModelRegistry registry) =>
        registry.Models.SelectMany(model => model.Versions.Values);

    /// <summary>The metric labels of a version.</summary>
    /// <param name="version">A loaded version.</param>
    private static TagList Labels(ModelVersion version) =>
        new() { { "model", version.Identity.Model }, { "version", version.Identity.VersionText } };

    /// <summary>Records the runs of one version in statistics, metrics and the log.</summary>
    private sealed class Observer(ServingMetrics metrics, ModelVersion version) : IBatchObserver
    {
        private readonly TagList labels = Labels(version);

        /// <summary>Records a successful run.</summary>
        /// <param name="rows">Number of rows of the batch.</param>
        /// <param name="run">Duration of the run.</param>
        /// <param name="queued">Time that each request waited.</param>
        public void Ran(int rows, TimeSpan run, IReadOnlyList<TimeSpan> queued)
        {
            version.Statistics.Add(rows, run, queued.Aggregate(TimeSpan.Zero, (sum, item) => sum + item));
            metrics.batchRows.Record(rows, labels);
            metrics.runTime.Record(run.TotalSeconds, labels);
            foreach (var item in queued)
                metrics.queueTime.Record(item.TotalSeconds, labels);
        }

        /// <summary>Records a failed run.</summary>
        /// <param name="error">The exception that the run threw.</param>
        public void Failed(Exception error)
        {
            version.Statistics.AddFailure();
            metrics.failures.Add(1, labels);
            ServingLog.RunFailed(metrics.log, version.Identity.Model, version.Identity.Version, error.Message);
        }
    }
}
