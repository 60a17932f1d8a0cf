namespace TorchBridge.Serving.Runtime;

/// <summary>A model did not run over the inputs given. ONNX Runtime's text names places in its own sources: it is for
/// the log.</summary>
internal sealed class ModelRunException : Exception
{
    /// <summary>Makes an error.</summary>
    public ModelRunException(string message)
        : base(message) { }

    /// <summary>Makes an error with its cause.</summary>
    public ModelRunException(string message, Exception innerException)
        : base(message, innerException) { }
}
