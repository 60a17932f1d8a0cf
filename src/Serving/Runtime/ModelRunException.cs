namespace TorchBridge.Serving.Runtime;

/// <summary>A model did not run over the inputs given. ONNX Runtime's text names places in its own sources: it is for
/// the log.</summary>
internal sealed class ModelRunException : Exception
{
    /// <summary>Makes an error.</summary>
    /// <param name="message">What the runtime says.</param>
    public ModelRunException(string message)
        : base(message) { }

    /// <summary>Makes an error with its cause.</summary>
    /// <param name="message">What the runtime says.</param>
    /// <param name="innerException">The runtime's own exception.</param>
    public ModelRunException(string message, Exception innerException)
        : base(message, innerException) { }
}
