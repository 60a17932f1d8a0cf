using Microsoft.ML.OnnxRuntime;

namespace TorchBridge.Inference;

/// <summary>How a session is opened.</summary>
public sealed record SessionSettings
{
    /// <summary>Threads of ONNX Runtime for one batch; null for one a core.</summary>
    public int? Threads { get; init; }

    /// <summary>More settings, of ONNX Runtime's own: execution providers, say. Called once a session, before the model is loaded.</summary>
    public Action<SessionOptions>? Configure { get; init; }

    /// <summary>Opens a session.</summary>
    /// <param name="model">The file's bytes.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <exception cref="InvalidDataException">It is no model that ONNX Runtime loads.</exception>
    internal InferenceSession Open(byte[] model, string name)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        if (Threads is { } threads) options.IntraOpNumThreads = threads;
        // Exact kernels for int8 models, at half the speed: only where the fast ones overflow.
        if (Processor.MayOverflow) options.AddSessionConfigEntry("session.x64quantprecision", "1");
        Configure?.Invoke(options);
        try
        {
            return new InferenceSession(model, options);
        }
        catch (OnnxRuntimeException error)
        {
            throw new InvalidDataException($"{name} is not an ONNX model that ONNX Runtime can load: {error.Message}", error);
        }
    }
}
