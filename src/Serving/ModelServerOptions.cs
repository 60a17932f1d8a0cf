using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace TorchBridge.Serving;

/// <summary>
/// Options of the model server. The program reads them from its arguments (<c>--max-batch-size 16</c>), the
/// environment (<c>Server__MaxBatchSize=16</c>) and <c>appsettings.json</c> (<c>{ "Server": { "MaxBatchSize": 16 }
/// }</c>). All of them are checked at startup.
/// </summary>
public sealed class ModelServerOptions
{
    /// <summary>Name of the configuration section that holds these options.</summary>
    public const string Section = "Server";

    /// <summary>
    /// Folder of the models: NAME.onnx files, or Triton's layout NAME/1/model.onnx. The folder is trusted: whoever
    /// can write to it decides what the server runs. Default: models.
    /// </summary>
    [
        Category("Models"),
        Description("Folder of the models: NAME.onnx files, or NAME/1/model.onnx as in Triton."),
        Required
    ]
    public string Models { get; set; } = "models";

    /// <summary>
    /// Time between checks of the folder for changed models, in milliseconds, up to 86,400,000 (one day); 0 to check
    /// only at startup. Default: 1,000.
    /// </summary>
    [
        Category("Models"),
        Description("Milliseconds between checks for changed models; 0 to check only at startup."),
        Range(0, 86_400_000)
    ]
    public int ReloadMilliseconds { get; set; } = 1000;

    /// <summary>
    /// Maximum number of rows in a batch and in a request, 1 to 4,096, for models whose config.pbtxt does not set it.
    /// Default: 32.
    /// </summary>
    [Category("Batching"), Description("Maximum number of rows in a batch and in a request."), Range(1, 4096)]
    public int MaxBatchSize { get; set; } = 32;

    /// <summary>
    /// How long an incomplete batch waits for more requests, in microseconds, counted from its oldest request. With 0
    /// (the default) no request is held back: a batch then consists of the requests that arrived while another batch
    /// was running.
    /// </summary>
    [
        Category("Batching"),
        Description("Microseconds that an incomplete batch waits for more requests."),
        Range(0, 1_000_000)
    ]
    public int BatchDelayMicroseconds { get; set; }

    /// <summary>
    /// Maximum number of requests that wait for one model version, 1 to 1,000,000; further requests get status 503.
    /// Default: 256.
    /// </summary>
    [
        Category("Batching"),
        Description("Maximum number of requests waiting for one model; further ones get status 503."),
        Range(1, 1_000_000)
    ]
    public int QueueCapacity { get; set; } = 256;

    /// <summary>
    /// Number of batches of one model version that run at the same time, up to 64; they share one session. With 0
    /// (the default), and if <see cref="Threads"/> is 0 too, the server chooses: a request that is alone runs on all
    /// cores, and under load one batch runs on each core. For this, a model of up to 256 MB in one file is held in
    /// memory twice. For a larger model, or if <see cref="ConfigureSession"/> is set, one batch runs at a time.
    /// </summary>
    [
        Category("Batching"),
        Description(
            "Batches of one model that run at the same time; 0: one per core under load, one on all cores otherwise."
        ),
        Range(0, 64)
    ]
    public int Sessions { get; set; }

    /// <summary>
    /// Number of ONNX Runtime threads per batch, up to 1,024. 0 (the default) means one per core, or, if
    /// <see cref="Sessions"/> is 0 too, as described there.
    /// </summary>
    [Category("Batching"), Description("Threads per batch; 0 for one per core."), Range(0, 1024)]
    public int Threads { get; set; }

    /// <summary>
    /// Maximum time from the first byte of a request until the model starts to run it, in milliseconds. A request can
    /// set a shorter <c>timeout</c> of its own. Default: 30,000.
    /// </summary>
    [
        Category("Limits of requests"),
        Description("Maximum milliseconds from a request's first byte until the model runs it."),
        Range(1, 3_600_000)
    ]
    public int RequestTimeoutMilliseconds { get; set; } = 30_000;

    /// <summary>
    /// Maximum number of requests that are being read, are waiting or are being answered; further ones get status
    /// 503. Default: 1,024.
    /// </summary>
    [
        Category("Limits of requests"),
        Description("Maximum number of requests handled at a time; further ones get status 503."),
        Range(1, 1_000_000)
    ]
    public int MaxConcurrentRequests { get; set; } = 1024;

    /// <summary>
    /// Maximum size of a request body in bytes, both compressed and decompressed, and of a gRPC message. Default: 64
    /// MiB.
    /// </summary>
    [
        Category("Limits of requests"),
        Description("Maximum bytes of a request body, compressed or not."),
        Range(1024, 2_000_000_000)
    ]
    public int MaxRequestBytes { get; set; } = 64 << 20;

    /// <summary>
    /// Maximum total size of all request bodies in memory, in bytes; further requests get status 503. Default: 512
    /// MiB.
    /// </summary>
    [
        Category("Limits of requests"),
        Description("Maximum bytes of all request bodies in memory at the same time."),
        Range(1024L, 1L << 40)
    ]
    public long MaxBytesInFlight { get; set; } = 512 << 20;

    /// <summary>Maximum nesting depth of JSON, 8 to 1,000. Default: 100.</summary>
    [Category("Limits of requests"), Description("Maximum nesting depth of JSON."), Range(8, 1000)]
    public int MaxJsonDepth { get; set; } = 100;

    /// <summary>Maximum number of inputs of a request, and of outputs that it asks for. Default: 64.</summary>
    [
        Category("Limits of requests"),
        Description("Maximum number of inputs, and of outputs, of a request."),
        Range(1, 4096)
    ]
    public int MaxTensors { get; set; } = 64;

    /// <summary>
    /// Maximum number of pixels of a picture, according to its header; larger ones are not decoded. Default:
    /// 67,108,864.
    /// </summary>
    [Category("Limits of requests"), Description("Maximum number of pixels of a picture."), Range(1, 268_435_456)]
    public int MaxPicturePixels { get; set; } = 64 << 20;

    /// <summary>
    /// Minimum rate at which a client must send its request, in bytes per second, after the first five seconds; 0 for
    /// no limit. Default: 240, as in Kestrel.
    /// </summary>
    [
        Category("Limits of requests"),
        Description("Minimum bytes per second at which a client must send; 0 for no limit."),
        Range(0, 1_000_000_000)
    ]
    public int MinBytesPerSecond { get; set; } = 240;

    /// <summary>Maximum number of open connections; further ones are closed. Default: 1,024.</summary>
    [
        Category("Limits of requests"),
        Description("Maximum number of open connections; further ones are closed."),
        Range(1, 1_000_000)
    ]
    public int MaxConnections { get; set; } = 1024;

    /// <summary>
    /// How long the server still accepts requests after it was told to stop, in milliseconds, while its readiness
    /// check already fails. Default: 1,000.
    /// </summary>
    [
        Category("Stopping"),
        Description(
            "Milliseconds for which requests are still accepted after the signal to stop, while the readiness check fails."
        ),
        Range(0, 600_000)
    ]
    public int DrainMilliseconds { get; set; } = 1000;

    /// <summary>
    /// How long the requests in progress may take to finish after <see cref="DrainMilliseconds"/>, in milliseconds.
    /// Default: 25,000; together with draining this stays below Kubernetes' limit of 30 seconds.
    /// </summary>
    [
        Category("Stopping"),
        Description("Milliseconds that requests in progress may then take to finish."),
        Range(0, 3_600_000)
    ]
    public int GraceMilliseconds { get; set; } = 25_000;

    /// <summary>
    /// Which models are first loaded in a separate process, so that a crash does no harm. Default: all except
    /// TorchBridge classifiers.
    /// </summary>
    [
        Category("Checking models before they are served"),
        Description(
            "Models first loaded in a separate process: Foreign (all but TorchBridge classifiers), All or None."
        )
    ]
    public ProbeChoice Probe { get; set; } = ProbeChoice.Foreign;

    /// <summary>
    /// How long the separate process may take to load and run a model, in milliseconds. Default: 120,000 (two
    /// minutes).
    /// </summary>
    [
        Category("Checking models before they are served"),
        Description("Maximum milliseconds for loading a model in the separate process."),
        Range(100, 3_600_000)
    ]
    public int ProbeMilliseconds { get; set; } = 120_000;

    /// <summary>Maximum memory of the separate process, in bytes. Default: 4 GiB.</summary>
    [
        Category("Checking models before they are served"),
        Description("Maximum bytes of memory for loading a model in the separate process."),
        Range(1L << 26, 1L << 42)
    ]
    public long ProbeBytes { get; set; } = 4L << 30;

    /// <summary>
    /// The key that requests must present: as <c>Authorization: Bearer</c>, as <c>X-Api-Key</c>, or as the password
    /// of HTTP Basic authentication. Null (the default) for none. Health checks need no key.
    /// </summary>
    [Category("Access"), Description("Key that requests must present; health checks need none.")]
    public string? ApiKey { get; set; }

    /// <summary>Origins whose web pages may call the server (CORS), separated by commas; none by default.</summary>
    [Category("Access"), Description("Origins, separated by commas, whose web pages may call the server (CORS).")]
    public string? AllowedOrigins { get; set; }

    /// <summary>
    /// Sets further options of ONNX Runtime, such as execution providers; called for every session before its model
    /// is loaded.
    /// </summary>
    public Action<SessionOptions>? ConfigureSession { get; set; }
}
