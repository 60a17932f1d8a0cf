using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// The settings in a model's <c>config.pbtxt</c> that this server uses. Null means that a setting is absent.
/// </summary>
internal sealed record ModelConfig
{
    /// <summary>File name of a model's configuration.</summary>
    public const string FileName = "config.pbtxt";

    /// <summary>
    /// Fields that are accepted but have no effect: how Triton loads, warms up and observes a model.
    /// </summary>
    private static readonly string[] Unused =
    [
        "optimization",
        "model_warmup",
        "cc_model_filenames",
        "metric_tags",
        "runtime",
        "model_operations",
        "model_metrics",
        "response_cache",
    ];

    /// <summary>
    /// Fields that this server uses. Fields that are in neither list are refused, because they would change the
    /// results under Triton.
    /// </summary>
    private static readonly string[] Used =
    [
        "name",
        "platform",
        "backend",
        "max_batch_size",
        "input",
        "output",
        "version_policy",
        "dynamic_batching",
        "instance_group",
        "default_model_filename",
        "parameters",
    ];

    /// <summary>The model's name.</summary>
    public string? Name { get; private init; }

    /// <summary>Maximum number of rows in a batch, 0 to 4,096; 0 if axis 0 is not a batch axis.</summary>
    public int? MaxBatchSize { get; private init; }

    /// <summary>How long an incomplete batch waits for more requests, up to 10 seconds.</summary>
    public TimeSpan? Delay { get; private init; }

    /// <summary>Maximum number of waiting requests, at least 1.</summary>
    public int? QueueCapacity { get; private init; }

    /// <summary>How long a request may wait.</summary>
    public TimeSpan? Timeout { get; private init; }

    /// <summary>
    /// Number of batches that run at the same time: the total number of instances of all groups, 1 to 64.
    /// </summary>
    public int? Sessions { get; private init; }

    /// <summary>Threads per batch, from the parameter <c>intra_op_thread_count</c>; 0 for one per core.</summary>
    public int? Threads { get; private init; }

    /// <summary>Name of the file in a version's folder.</summary>
    public string ModelFile { get; private init; } = "model.onnx";

    /// <summary>Number of latest versions to serve; null for all.</summary>
    public int? LatestVersions { get; private init; } = 1;

    /// <summary>The versions to serve; null if <see cref="LatestVersions"/> applies.</summary>
    public IReadOnlySet<long>? Versions { get; private init; }

    /// <summary>The declared inputs and outputs.</summary>
    public IReadOnlyList<DeclaredTensor> Tensors { get; private init; } = [];

    /// <summary>Reads a configuration.</summary>
    /// <param name="path">The configuration file, at most 1 MiB.</param>
    /// <exception cref="ModelLoadException">The file cannot be read, or asks for something that this server does not
    /// support.</exception>
    public static ModelConfig Read(string path)
    {
        const long most = 1 << 20;
        try
        {
            if (new FileInfo(path).Length > most)
                throw new FormatException($"the file has more than {most} bytes, the limit");
            return Of(TextFormat.Read(File.ReadAllText(path)));
        }
        catch (Exception error) when (error is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"{path}: {error.Message}", error);
        }
    }

    /// <summary>Checks the configuration against the model.</summary>
    /// <param name="signature">The model's inputs and outputs.</param>
    /// <param name="path">Path of the configuration, for error messages.</param>
    /// <exception cref="ModelLoadException">The configuration contradicts the model.</exception>
    public void Check(ModelSignature signature, string path)
    {
        if (MaxBatchSize > 0 && !signature.MayBatch)
            throw new ModelLoadException(
                $"{path}: max_batch_size is {MaxBatchSize}, but axis 0 of the model's inputs and outputs "
                    + "is not dynamic everywhere; set it to 0"
            );
        foreach (var declared in Tensors)
        {
            var spec = (declared.IsInput ? signature.Inputs : signature.Outputs).FirstOrDefault(tensor =>
                tensor.Name == declared.Name
            )
                ?? throw new ModelLoadException(
                    $"{path}: the model has no {(declared.IsInput ? "input" : "output")} '{declared.Name}'"
                );
            if (declared.Type is { } type && type != spec.Type.TritonNameOf())
                throw new ModelLoadException(
                    $"{path}: '{declared.Name}' is {spec.Type.TritonNameOf()} in the model, but {type} here"
                );
            long[] dims = [.. MaxBatchSize > 0 ? spec.Shape.Skip(1) : spec.Shape];
            var differs = declared
                .Dims.Zip(dims)
                .Any(pair => pair.First != pair.Second && pair.First >= 0 && pair.Second >= 0);
            if (declared.Dims.Count > 0 && (declared.Dims.Count != dims.Length || differs))
                throw new ModelLoadException(
                    $"{path}: '{declared.Name}' is {ShapeRules.Text(dims)} in the model, but {ShapeRules.Text(declared.Dims)} here"
                );
        }
    }

    /// <summary>
    /// Reads the settings from the file's fields; refuses fields and values that this server does not support.
    /// </summary>
    /// <param name="text">The file's fields.</param>
    private static ModelConfig Of(TextMessage text)
    {
        if (text.Names.FirstOrDefault(name => !Used.Contains(name) && !Unused.Contains(name)) is { } unknown)
            throw new FormatException(
                $"`{unknown}` is not supported by this server; supported are {string.Join(", ", Used)}"
            );
        if (text.Text("backend") is not (null or "onnxruntime"))
            throw new FormatException($"the backend is '{text.Text("backend")}'; only onnxruntime is supported");
        if (text.Text("platform") is not (null or "" or "onnxruntime_onnx" or "onnx_onnxv1"))
            throw new FormatException($"the platform is '{text.Text("platform")}'; only onnxruntime_onnx is supported");
        var batching = text.Message("dynamic_batching");
        var queue = batching?.Message("default_queue_policy");
        var policy = text.Message("version_policy");
        var file = text.Text("default_model_filename") is { Length: > 0 } name ? name : "model.onnx";
        if (file is "." or ".." || file.AsSpan().IndexOfAny('/', '\\', ':') >= 0)
            throw new FormatException($"default_model_filename is '{file}', which is not a plain file name");
        return new ModelConfig
        {
            Name = text.Text("name"),
            MaxBatchSize = Limited(text.Number("max_batch_size"), "max_batch_size", 0, 4096),
            Delay = Limited(
                batching?.Number("max_queue_delay_microseconds"),
                "max_queue_delay_microseconds",
                0,
                10_000_000
            )
                is { } delay
                ? TimeSpan.FromMicroseconds(delay)
                : null,
            QueueCapacity = Limited(queue?.Number("max_queue_size"), "max_queue_size", 0, 1_000_000)
                is > 0
                    and var capacity
                ? capacity
                : null,
            Timeout = queue?.Number("default_timeout_microseconds") is > 0 and var timeout
                ? TimeSpan.FromMicroseconds(timeout)
                : null,
            Sessions = SessionsOf(text),
            Threads = ThreadsOf(text),
            ModelFile = file,
            LatestVersions = policy?.Message("all") is not null
                ? null
                : Limited(policy?.Message("latest")?.Number("num_versions"), "num_versions", 1, 1000) ?? 1,
            Versions = policy?.Message("specific")?.Numbers("versions").ToHashSet(),
            Tensors =
            [
                .. text.Messages("input").Select(item => DeclaredTensor.Read(item, isInput: true)),
                .. text.Messages("output").Select(item => DeclaredTensor.Read(item, isInput: false)),
            ],
        };
    }

    /// <summary>
    /// The total number of instances of all groups; null if there is no group. A group on a GPU is refused.
    /// </summary>
    /// <param name="text">The file's fields.</param>
    private static int? SessionsOf(TextMessage text)
    {
        if (text.Messages("instance_group").FirstOrDefault(group => group.Text("kind") is "KIND_GPU") is not null)
            throw new FormatException("an instance_group asks for a GPU; this server runs on the CPU only");
        var count = text.Messages("instance_group").Sum(group => group.Number("count") ?? 1);
        return count == 0 ? null : Limited(count, "instance_group's count", 1, 64);
    }

    /// <summary>The parameter that sets the number of threads; null if it is absent.</summary>
    /// <param name="text">The file's fields.</param>
    private static int? ThreadsOf(TextMessage text) =>
        text.Messages("parameters")
            .FirstOrDefault(item => item.Text("key") == "intra_op_thread_count")
            ?.Message("value")
            ?.Text("string_value")
            is { } threads
            ? int.TryParse(threads, System.Globalization.CultureInfo.InvariantCulture, out var count)
            && count is >= 0 and <= 1024
                ? count
                : throw new FormatException($"intra_op_thread_count is '{threads}'; allowed are 0 to 1024")
            : null;

    /// <summary>Checks that a number is in its range; null is passed through.</summary>
    /// <param name="value">The number in the file; null if it is absent.</param>
    /// <param name="name">Name of the field, for error messages.</param>
    /// <param name="least">The smallest allowed number.</param>
    /// <param name="most">The largest allowed number.</param>
    private static int? Limited(long? value, string name, int least, int most) =>
        value is null || (value >= least && value <= most)
            ? (int?)value
            : throw new FormatException($"{name} is {value}; allowed are {least} to {most}");
}
