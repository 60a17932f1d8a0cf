namespace TorchBridge.Inference.Hosting;

/// <summary>The exception thrown when a service has no model because its file is missing or invalid. A web service
/// should respond with status 503.</summary>
public sealed class ModelUnavailableException : Exception
{
    /// <summary>Creates an exception without details.</summary>
    public ModelUnavailableException() { }

    /// <summary>Creates an exception.</summary>
    /// <param name="message">The model and the reason.</param>
    public ModelUnavailableException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a cause.</summary>
    /// <param name="message">The model and the reason.</param>
    /// <param name="innerException">The error of the file.</param>
    public ModelUnavailableException(string message, Exception innerException)
        : base(message, innerException) { }
}
