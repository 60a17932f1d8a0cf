using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// How a session is opened: the only place that makes SessionOptions. The defaults are ONNX Runtime's own, but that
/// it reports errors only.
/// </summary>
internal sealed record OrtSession
{
    /// <summary>For looking at models rather than serving them: failures are the caller's to report, and the log
    /// stays empty.</summary>
    public static OrtSession Quiet { get; } = new() { Log = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };

    /// <summary>What is logged.</summary>
    public OrtLoggingLevel Log { get; init; } = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR;

    /// <summary>How far the graph may be rewritten.</summary>
    public GraphOptimizationLevel Optimization { get; init; } = GraphOptimizationLevel.ORT_ENABLE_ALL;

    /// <summary>Whether freed memory is kept for the next run: the largest of each size that was seen.</summary>
    public bool KeepsMemory { get; init; } = true;

    /// <summary>Whether the memory of a run is planned from the runs before it.</summary>
    public bool PlansMemory { get; init; } = true;

    /// <summary>Whether convolution weights keep their layout: the blocked one is a second copy of all of
    /// them.</summary>
    public bool KeepsLayout { get; init; }

    /// <summary>Whether int8 models run in exact kernels, at half the speed, where the fast ones may
    /// overflow.</summary>
    public bool ExactInt8 { get; init; }

    /// <summary>Threads of one run, 1 and up; null for one per core.</summary>
    public int? Threads { get; init; }

    /// <summary>Where to write the graph as it was rewritten; null for nowhere.</summary>
    public string? RewrittenPath { get; init; }

    /// <summary>More settings, of ONNX Runtime's own; called last.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>Opens a model in memory.</summary>
    /// <param name="model">The file's bytes.</param>
    /// <returns>A session of the caller's, to be disposed.</returns>
    /// <exception cref="OnnxRuntimeException">ONNX Runtime does not load it.</exception>
    public InferenceSession Open(byte[] model)
    {
        using var options = Options();
        return new InferenceSession(model, options);
    }

    /// <summary>Opens a file, and the data file beside it.</summary>
    /// <param name="path">The file.</param>
    /// <returns>A session of the caller's, to be disposed.</returns>
    /// <exception cref="OnnxRuntimeException">ONNX Runtime does not load it.</exception>
    public InferenceSession Open(string path)
    {
        using var options = Options();
        return new InferenceSession(path, options);
    }

    /// <summary>
    /// The native options; they are the caller's to dispose, once the session is open.
    /// </summary>
    private SessionOptions Options()
    {
        var options = new SessionOptions
        {
            LogSeverityLevel = Log,
            GraphOptimizationLevel = Optimization,
            EnableCpuMemArena = KeepsMemory,
            EnableMemoryPattern = PlansMemory,
        };
        if (Threads is { } threads)
            options.IntraOpNumThreads = threads;
        if (RewrittenPath is { } path)
            options.OptimizedModelFilePath = path;
        if (KeepsLayout)
            options.AddSessionConfigEntry("optimization.disable_specified_optimizers", "NchwcTransformer");
        if (ExactInt8 && Processor.MayOverflow)
            options.AddSessionConfigEntry("session.x64quantprecision", "1");
        Configure?.Invoke(options);
        return options;
    }
}
