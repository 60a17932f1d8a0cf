using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving;

/// <summary>
/// How models are served. The program reads them from its arguments (<c>--max-batch-size 16</c>), the environment
/// (<c>Server__MaxBatchSize=16</c>) and <c>appsettings.json</c> (<c>{ "Server": { "MaxBatchSize": 16 } }</c>); all
/// are checked at start.
/// </summary>
public sealed class ModelServerOptions
{
    /// <summary>The configuration's section.</summary>
    public const string Section = "Server";

    /// <summary>
    /// Folder of the models: NAME.onnx files, or Triton's layout NAME/1/model.onnx. It is trusted: who writes there
    /// decides what runs.
    /// </summary>
    [Description("Folder of the models: NAME.onnx files, or NAME/1/model.onnx as Triton has them."), Required]
    public string Models { get; set; } = "models";

    /// <summary>How often the folder is looked at, in milliseconds; 0 for once, at start.</summary>
    [
        Description("Milliseconds between checks for changed models; 0 to check only at the start."),
        Range(0, 86_400_000)
    ]
    public int ReloadMilliseconds { get; set; } = 1000;

    /// <summary>
    /// Rows of the largest batch, and of the largest request, 1 to 4,096, where a model's config.pbtxt does not say.
    /// Default: 32.
    /// </summary>
    [Description("Rows of the largest batch and of the largest request."), Range(1, 4096)]
    public int MaxBatchSize { get; set; } = 32;

    /// <summary>
    /// How long an incomplete batch waits for more requests, in microseconds, counted from its oldest. 0 (the
    /// default) never holds a request back: batches then form of what waits while another one runs.
    /// </summary>
    [Description("Microseconds that an incomplete batch waits for more requests."), Range(0, 1_000_000)]
    public int BatchDelayMicroseconds { get; set; }

    /// <summary>
    /// Requests that may wait for one model version, 1 and up; the next is answered 503. Default: 256.
    /// </summary>
    [Description("Requests that may wait for one model; further ones are answered with 503."), Range(1, 1_000_000)]
    public int QueueCapacity { get; set; } = 256;

    /// <summary>
    /// Batches of one model version that run at the same time, up to 64; they share one session. 0 (the default)
    /// chooses, where <see cref="Threads"/> is 0 too: a request that is alone runs on all cores, and under load one
    /// batch runs on each. A model of up to 256 MB in one file is held twice for that; of a larger one, and where
    /// <see cref="ConfigureSession"/> is set, one batch runs at a time.
    /// </summary>
    [
        Description(
            "Batches of one model that run at the same time; 0: one per core under load, on all cores where a request is alone."
        ),
        Range(0, 64)
    ]
    public int Sessions { get; set; }

    /// <summary>Threads of ONNX Runtime for one batch; 0 (the default) for one per core, or as many as
    /// <see cref="Sessions"/> of 0 chooses.</summary>
    [Description("Threads for one batch; 0 for one per core."), Range(0, 1024)]
    public int Threads { get; set; }

    /// <summary>
    /// How long a request may take, from its first byte to its turn, in milliseconds: 30,000 by default. A request's
    /// own <c>timeout</c> may be shorter.
    /// </summary>
    [Description("Milliseconds that a request may take until it runs."), Range(1, 3_600_000)]
    public int RequestTimeoutMilliseconds { get; set; } = 30_000;

    /// <summary>
    /// Requests that are read, waited for or answered at the same time; the next is answered 503. Default: 1,024.
    /// </summary>
    [Description("Requests handled at the same time; further ones are answered with 503."), Range(1, 1_000_000)]
    public int MaxConcurrentRequests { get; set; } = 1024;

    /// <summary>
    /// Bytes of the largest body, as it comes and unpacked, and of the largest gRPC message. Default: 64 MiB.
    /// </summary>
    [Description("Bytes of the largest body, packed and unpacked."), Range(1024, 2_000_000_000)]
    public int MaxRequestBytes { get; set; } = 64 << 20;

    /// <summary>
    /// Bytes of all bodies in memory at the same time; a request beyond is answered 503. Default: 512 MiB.
    /// </summary>
    [Description("Bytes of all bodies in memory at the same time."), Range(1024L, 1L << 40)]
    public long MaxBytesInFlight { get; set; } = 512 << 20;

    /// <summary>Levels of nested JSON that are read, 8 to 1,000. Default: 100.</summary>
    [Description("Levels of nested JSON."), Range(8, 1000)]
    public int MaxJsonDepth { get; set; } = 100;

    /// <summary>Inputs, and outputs, of one request. Default: 64.</summary>
    [Description("Inputs, and outputs, of a request."), Range(1, 4096)]
    public int MaxTensors { get; set; } = 64;

    /// <summary>
    /// Pixels of the largest picture that is decoded, by what its header says. Default: 67 million.
    /// </summary>
    [Description("Pixels of the largest picture."), Range(1, 268_435_456)]
    public int MaxPicturePixels { get; set; } = 64 << 20;

    /// <summary>
    /// Bytes per second that a client must send at least, after five seconds; 0 for no limit. Default: 240, the web
    /// server's own.
    /// </summary>
    [Description("Bytes a second that a client must send at least; 0 for no limit."), Range(0, 1_000_000_000)]
    public int MinBytesPerSecond { get; set; } = 240;

    /// <summary>Connections at the same time; further ones are closed. Default: 1,024.</summary>
    [Description("Connections at the same time."), Range(1, 1_000_000)]
    public int MaxConnections { get; set; } = 1024;

    /// <summary>How long the server answers requests after it was told to stop and says that it is not ready, in
    /// milliseconds.</summary>
    [
        Description(
            "Milliseconds for which requests are still taken after the order to stop, while readiness says no."
        ),
        Range(0, 600_000)
    ]
    public int DrainMilliseconds { get; set; } = 1000;

    /// <summary>
    /// How long the requests at hand may take after that, in milliseconds. Default: 25,000, which fits into
    /// Kubernetes' 30 seconds together with draining.
    /// </summary>
    [Description("Milliseconds that requests may take to finish after that."), Range(0, 3_600_000)]
    public int GraceMilliseconds { get; set; } = 25_000;

    /// <summary>
    /// Which models are first loaded in a process of their own, which may crash without harm. Default: those that are
    /// no classifiers of TorchBridge.
    /// </summary>
    [Description("Models that are first loaded in a process of their own: Foreign, All or None.")]
    public ProbeChoice Probe { get; set; } = ProbeChoice.Foreign;

    /// <summary>
    /// How long that process may take to load and run a model, in milliseconds. Default: two minutes.
    /// </summary>
    [Description("Milliseconds that a model's first load may take."), Range(100, 3_600_000)]
    public int ProbeMilliseconds { get; set; } = 120_000;

    /// <summary>Bytes of memory that process may take. Default: 4 GiB.</summary>
    [Description("Bytes of memory that a model's first load may take."), Range(1L << 26, 1L << 42)]
    public long ProbeBytes { get; set; } = 4L << 30;

    /// <summary>
    /// A key that requests must carry (Authorization: Bearer, X-Api-Key, or Basic's password); null for none. Health
    /// needs none.
    /// </summary>
    [Description("Key that requests must carry; health needs none.")]
    public string? ApiKey { get; set; }

    /// <summary>Origins, comma-separated, whose pages may call the server (CORS); none by default.</summary>
    [Description("Origins, comma-separated, whose pages may call the server.")]
    public string? AllowedOrigins { get; set; }

    /// <summary>
    /// More settings of ONNX Runtime's own, execution providers say: called for every session before its model is
    /// loaded.
    /// </summary>
    public Action<SessionOptions>? ConfigureSession { get; set; }
}
