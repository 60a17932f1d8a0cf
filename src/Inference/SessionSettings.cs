using Microsoft.ML.OnnxRuntime;
using TorchBridge.Inference.Sessions;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Runtime;

namespace TorchBridge.Inference;

/// <summary>
/// Settings of an ONNX Runtime session: threads, and any other option of the runtime.
/// </summary>
public sealed record SessionSettings
{
    /// <summary>Number of ONNX Runtime threads per batch, at least 1; null for one per core.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
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

    /// <summary>Configures further ONNX Runtime options, such as execution providers. Called once per session, before
    /// the model is loaded.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>
    /// Number of threads that share a batch: <see cref="Threads"/>, or one per processor.
    /// </summary>
    internal int ThreadCount => Threads ?? Environment.ProcessorCount;

    /// <summary>
    /// The same settings for a single-threaded session, which runs parts of a batch.
    /// </summary>
    internal SessionSettings OneThreaded => this with { Threads = 1 };

    /// <summary>Opens a session.</summary>
    /// <param name="model">Bytes of the file.</param>
    /// <param name="name">Name of the model in error messages.</param>
    /// <param name="owner">Name of the public type that owns the session.</param>
    /// <returns>A session owned by the caller, which may be disposed while others use it.</returns>
    /// <exception cref="InvalidDataException">The bytes are not a model that ONNX Runtime can load.</exception>
    /// <exception cref="InvalidOperationException"><see cref="Configure"/> requests a feature that this build of ONNX
    /// Runtime lacks.</exception>
    internal ModelSession Open(byte[] model, string name, string owner)
    {
        var isConfigured = false;
        void Set(SessionOptions options)
        {
            Run(Configure, options);
            isConfigured = true;
        }

        // ONNX Runtime is native code, so files that would exhaust its memory are refused beforehand.
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
        // an exception of the caller's settings is not the model's fault
        catch (Exception error) when (isConfigured && error is not OutOfMemoryException)
        {
            throw new InvalidDataException(
                $"{name} is not an ONNX model that ONNX Runtime can load: {error.Message}",
                error
            );
        }
    }

    /// <summary>Reads a complete model, including an external data file.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <returns>One array with the complete model.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The model refers to external data at a path that is not
    /// allowed.</exception>
    internal static byte[] ReadModel(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model at {path}", path);
        return EmbeddedModel.Read(path);
    }

    /// <summary>
    /// Applies the caller's settings; explains features that this build of ONNX Runtime lacks.
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
                $"{nameof(SessionSettings)}.{nameof(Configure)} requests a feature that this build of ONNX "
                    + $"Runtime does not have: {error.Message}. Execution providers come in separate packages: for "
                    + $"CUDA and TensorRT, reference Microsoft.ML.OnnxRuntime.Gpu instead of Microsoft.ML.OnnxRuntime.",
                error
            );
        }
    }
}
