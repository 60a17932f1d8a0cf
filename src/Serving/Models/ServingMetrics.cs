using System.Diagnostics;
using System.Diagnostics.Metrics;
using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Operation;

namespace TorchBridge.Serving.Models;

/// <summary>
/// What the server measures, under the meter and the activity source <c>TorchBridge.Serving</c>. Labels come from the
/// table of models, never from requests.
/// </summary>
internal sealed class ServingMetrics : IDisposable
{
    /// <summary>Name of the meter and of the activity source.</summary>
    public const string Name = "TorchBridge.Serving";

    /// <summary>Owns the instruments; disposed with this.</summary>
    private readonly Meter meter;

    /// <summary>Seconds from a request's first byte to its answer.</summary>
    private readonly Histogram<double> requestTime;

    /// <summary>Seconds that a request waited for its run.</summary>
    private readonly Histogram<double> queueTime;

    /// <summary>Seconds of a run.</summary>
    private readonly Histogram<double> runTime;

    /// <summary>Rows of a run.</summary>
    private readonly Histogram<int> batchRows;

    /// <summary>Runs that failed.</summary>
    private readonly Counter<long> failures;

    /// <summary>Gets the failures, with what ONNX Runtime says.</summary>
    private readonly ILogger<ServingMetrics> log;

    /// <summary>Makes the instruments.</summary>
    /// <param name="meters">Makes the meter, of this application only.</param>
    /// <param name="registry">Models whose queues and states are observed.</param>
    /// <param name="log">Gets the failures.</param>
    public ServingMetrics(IMeterFactory meters, ModelRegistry registry, ILogger<ServingMetrics> log)
    {
        this.log = log;
        meter = meters.Create(Name);
        requestTime = meter.CreateHistogram<double>(
            "torchbridge_request_seconds",
            "s",
            "Time from a request's first byte to its answer, by what became of it."
        );
        queueTime = meter.CreateHistogram<double>(
            "torchbridge_queue_seconds",
            "s",
            "Time that a request waited for its run."
        );
        runTime = meter.CreateHistogram<double>("torchbridge_run_seconds", "s", "Time of a run of a batch.");
        batchRows = meter.CreateHistogram<int>("torchbridge_batch_rows", "{row}", "Rows of a batch that was run.");
        failures = meter.CreateCounter<long>("torchbridge_run_failures", "{run}", "Runs that failed.");
        meter.CreateObservableGauge(
            "torchbridge_queue_length",
            () => Versions(registry).Select(version => new Measurement<int>(version.Queue.Count, Labels(version))),
            "{request}",
            "Requests that wait."
        );
        meter.CreateObservableGauge(
            "torchbridge_model_ready",
            () =>
                registry.Models.Select(model => new Measurement<int>(
                    model.IsReady ? 1 : 0,
                    new TagList { { "model", model.Name } }
                )),
            null,
            "1 where a model answers."
        );
        meter.CreateObservableGauge(
            "torchbridge_model_problem",
            () =>
                registry.Models.Select(model => new Measurement<int>(
                    model.Problem is null ? 0 : 1,
                    new TagList { { "model", model.Name } }
                )),
            null,
            "1 where something of a model is not served."
        );
    }

    /// <summary>Where activities come from.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>Counts a request.</summary>
    /// <param name="model">A model of the table; null where the request named none.</param>
    /// <param name="outcome">One of a few words.</param>
    /// <param name="elapsed">How long it took.</param>
    public void AddRequest(ModelVersion? model, string outcome, TimeSpan elapsed) =>
        requestTime.Record(
            elapsed.TotalSeconds,
            new TagList { { "model", model?.Identity.Model ?? "" }, { "outcome", outcome } }
        );

    /// <summary>What a version's workers tell their runs to.</summary>
    /// <param name="version">A loaded version.</param>
    public IBatchObserver ObserverOf(ModelVersion version) => new Observer(this, version);

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    /// <summary>All loaded versions.</summary>
    /// <param name="registry">What is served.</param>
    private static IEnumerable<ModelVersion> Versions(ModelRegistry registry) =>
        registry.Models.SelectMany(model => model.Versions.Values);

    /// <summary>A version's labels.</summary>
    /// <param name="version">Whose series it is.</param>
    private static TagList Labels(ModelVersion version) =>
        new() { { "model", version.Identity.Model }, { "version", version.Identity.VersionText } };

    /// <summary>Takes the runs of one version to statistics, metrics and the log.</summary>
    private sealed class Observer(ServingMetrics metrics, ModelVersion version) : IBatchObserver
    {
        private readonly TagList labels = Labels(version);

        /// <summary>Counts a run, its rows and its times.</summary>
        /// <param name="rows">Of the batch.</param>
        /// <param name="run">How long it took.</param>
        /// <param name="queued">How long each request waited.</param>
        public void Ran(int rows, TimeSpan run, IReadOnlyList<TimeSpan> queued)
        {
            version.Statistics.Add(rows, run, queued.Aggregate(TimeSpan.Zero, (sum, item) => sum + item));
            metrics.batchRows.Record(rows, labels);
            metrics.runTime.Record(run.TotalSeconds, labels);
            foreach (var item in queued)
                metrics.queueTime.Record(item.TotalSeconds, labels);
        }

        /// <summary>Counts a run that failed.</summary>
        /// <param name="error">What was thrown.</param>
        public void Failed(Exception error)
        {
            version.Statistics.AddFailure();
            metrics.failures.Add(1, labels);
            ServingLog.RunFailed(metrics.log, version.Identity.Model, version.Identity.Version, error.Message);
        }
    }
}
