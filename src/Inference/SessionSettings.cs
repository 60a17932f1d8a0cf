using Microsoft.ML.OnnxRuntime;
using TorchBridge.Onnx.Format;
using TorchBridge.Onnx.Runtime;

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
        var isConfigured = false;
        void Set(SessionOptions options)
        {
            Configure?.Invoke(options);
            isConfigured = true;
        }

        // ONNX Runtime is native: what would exhaust it is found before.
        OnnxReader.Probe(model, name);
        try
        {
            return new OrtSession { Threads = Threads, ExactInt8 = true, Configure = Set }.Open(model);
        }
        catch (Exception error) when (isConfigured && error is not OutOfMemoryException) // what the caller's settings throw is not the model's fault
        {
            throw new InvalidDataException($"{name} is not an ONNX model that ONNX Runtime can load: {error.Message}", error);
        }
    }
}
