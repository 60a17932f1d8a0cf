using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Inference;

/// <summary>
/// How a session of ONNX Runtime is opened: threads, and whatever else the runtime can be told.
/// </summary>
public sealed record SessionSettings
{
    /// <summary>Threads of ONNX Runtime for one batch, 1 and up; null for one a core.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is below 1.</exception>
    public int? Threads
    {
        get;
        init =>
            field = value is < 1
                ? throw new ArgumentOutOfRangeException(
                    nameof(value),
                    value,
                    $"{nameof(Threads)} is {value}; allowed is 1 and up, or null for one per core"
                )
                : value;
    }

    /// <summary>More settings, of ONNX Runtime's own: execution providers, say. Called once a session, before the
    /// model is loaded.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>
    /// Threads that share a batch: as many as were asked for, or one per processor.
    /// </summary>
    internal int ThreadCount => Threads ?? Environment.ProcessorCount;

    /// <summary>
    /// The same settings for a session of one thread, of which each part of a batch has its own run.
    /// </summary>
    internal SessionSettings OneThreaded => this with { Threads = 1 };

    /// <summary>Opens a session.</summary>
    /// <param name="model">The file's bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <param name="owner">Name of the public type that the session belongs to.</param>
    /// <returns>A session of the caller's, which may be disposed while others use it.</returns>
    /// <exception cref="InvalidDataException">It is no model that ONNX Runtime loads.</exception>
    /// <exception cref="InvalidOperationException"><see cref="Configure"/> asks for what this build of ONNX Runtime
    /// has not.</exception>
    internal ModelSession Open(byte[] model, string name, string owner)
    {
        var isConfigured = false;
        void Set(SessionOptions options)
        {
            Run(Configure, options);
            isConfigured = true;
        }

        // ONNX Runtime is native: what would exhaust it is found before.
        OnnxReader.Probe(model, name);
        try
        {
            return new ModelSession(
                new OrtSession
                {
                    Threads = Threads,
                    ExactInt8 = true,
                    Configure = Set,
                }.Open(model),
                owner
            );
        }
        // what the caller's settings throw is not the model's fault
        catch (Exception error) when (isConfigured && error is not OutOfMemoryException)
        {
            throw new InvalidDataException(
                $"{name} is not an ONNX model that ONNX Runtime can load: {error.Message}",
                error
            );
        }
    }

    /// <summary>Reads a model whole, the data file beside it included.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <returns>One array that holds everything.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It says that its data are in a place that is not allowed.</exception>
    internal static byte[] ReadModel(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model at {path}", path);
        return EmbeddedModel.Read(path);
    }

    /// <summary>
    /// Calls the caller's settings; what this build of ONNX Runtime lacks is explained.
    /// </summary>
    private static void Run(Action<SessionOptions>? configure, SessionOptions options)
    {
        try
        {
            configure?.Invoke(options);
        }
        catch (Exception error)
            when (error is EntryPointNotFoundException or DllNotFoundException or OnnxRuntimeException)
        {
            throw new InvalidOperationException(
                $"{nameof(SessionSettings)}.{nameof(Configure)} asks for what this build of ONNX Runtime does not have: {error.Message}. "
                    + "An execution provider comes with its own package: Microsoft.ML.OnnxRuntime.Gpu for "
                    + "CUDA and TensorRT, in place of Microsoft.ML.OnnxRuntime.",
                error
            );
        }
    }
}
