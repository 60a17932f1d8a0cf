namespace TorchBridge.Serving.Runtime;

/// <summary>
/// A model cannot be loaded. The message names the file and the reason; it goes to the log and the operator, not to
/// clients.
/// </summary>
internal sealed class ModelLoadException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The file, and why it cannot be loaded.</param>
    public ModelLoadException(string message)
        : base(message) { }

    /// <summary>Creates the exception with its cause.</summary>
    /// <param name="message">The file, and why it cannot be loaded.</param>
    /// <param name="innerException">The cause.</param>
    public ModelLoadException(string message, Exception innerException)
        : base(message, innerException) { }
}
