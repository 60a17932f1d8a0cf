namespace TorchBridge.Serving.Runtime;

/// <summary>A model is not taken. The message names the file and says why; it goes to the log and the operator, not
/// to clients.</summary>
internal sealed class ModelLoadException : Exception
{
    /// <summary>Makes a refusal.</summary>
    /// <param name="message">Which file, and why it is not taken.</param>
    public ModelLoadException(string message)
        : base(message) { }

    /// <summary>Makes a refusal with its cause.</summary>
    /// <param name="message">Which file, and why it is not taken.</param>
    /// <param name="innerException">The cause.</param>
    public ModelLoadException(string message, Exception innerException)
        : base(message, innerException) { }
}
