namespace TorchBridge.Serving.Runtime;

/// <summary>
/// A model failed on the given inputs. ONNX Runtime's message contains paths of its source files, so it is meant for
/// the log only.
/// </summary>
internal sealed class ModelRunException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The message of ONNX Runtime.</param>
    public ModelRunException(string message)
        : base(message) { }

    /// <summary>Creates the exception with its cause.</summary>
    /// <param name="message">The message of ONNX Runtime.</param>
    /// <param name="innerException">The exception of ONNX Runtime.</param>
    public ModelRunException(string message, Exception innerException)
        : base(message, innerException) { }
}
