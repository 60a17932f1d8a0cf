using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Onnx.Runtime;

/// <summary>
/// Settings for opening an ONNX Runtime session; the only place in the code that creates SessionOptions. The defaults
/// are those of ONNX Runtime, except that only errors are logged.
/// </summary>
internal sealed record OrtSession
{
    /// <summary>
    /// Settings for inspecting models rather than serving them: the caller reports failures, and ONNX Runtime logs
    /// nothing.
    /// </summary>
    public static OrtSession Quiet { get; } = new() { Log = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };

    /// <summary>Lowest severity that is logged.</summary>
    public OrtLoggingLevel Log { get; init; } = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR;

    /// <summary>How far ONNX Runtime may optimize the graph.</summary>
    public GraphOptimizationLevel Optimization { get; init; } = GraphOptimizationLevel.ORT_ENABLE_ALL;

    /// <summary>
    /// Whether memory freed after a run is kept for the next one (ONNX Runtime's memory arena). The arena keeps the
    /// largest block of each size that it has seen.
    /// </summary>
    public bool KeepsMemory { get; init; } = true;

    /// <summary>Whether ONNX Runtime plans the memory of a run from the memory patterns of earlier runs.</summary>
    public bool PlansMemory { get; init; } = true;

    /// <summary>
    /// Whether convolution weights keep their layout. The faster blocked layout needs a second copy of all of them.
    /// </summary>
    public bool KeepsLayout { get; init; }

    /// <summary>
    /// Whether int8 models run with exact kernels, at half the speed, on processors whose fast kernels may overflow.
    /// </summary>
    public bool ExactInt8 { get; init; }

    /// <summary>Threads per run, at least 1; null for one per core.</summary>
    public int? Threads { get; init; }

    /// <summary>Path to which ONNX Runtime writes the optimized graph; null to write none.</summary>
    public string? RewrittenPath { get; init; }

    /// <summary>Sets further options of ONNX Runtime; called last.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>Opens a model from memory.</summary>
    /// <param name="model">The file's bytes.</param>
    /// <returns>A session, which the caller disposes.</returns>
    /// <exception cref="OnnxRuntimeException">ONNX Runtime cannot load the model.</exception>
    public InferenceSession Open(byte[] model)
    {
        using var options = Options();
        return new InferenceSession(model, options);
    }

    /// <summary>Opens a model's file, together with the data files in its folder.</summary>
    /// <param name="path">The model's file.</param>
    /// <returns>A session, which the caller disposes.</returns>
    /// <exception cref="OnnxRuntimeException">ONNX Runtime cannot load the model.</exception>
    public InferenceSession Open(string path)
    {
        using var options = Options();
        return new InferenceSession(path, options);
    }

    /// <summary>The native options; the caller disposes them once the session is open.</summary>
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
