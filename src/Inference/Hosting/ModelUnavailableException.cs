namespace TorchBridge.Inference.Hosting;

/// <summary>A service has no model to work with: its file is not there yet, or is not a good one. A web service
/// answers 503.</summary>
public sealed class ModelUnavailableException : Exception
{
    /// <summary>Makes an exception without details.</summary>
    public ModelUnavailableException() { }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">Which model, and why.</param>
    public ModelUnavailableException(string message)
        : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">Which model, and why.</param>
    /// <param name="innerException">What was wrong with the file.</param>
    public ModelUnavailableException(string message, Exception innerException)
        : base(message, innerException) { }
}
