namespace TorchBridge.Scale.Contract;

/// <summary>An error that the user can fix or has to know about; the message is one paragraph, shown without a stack
/// trace.</summary>
internal sealed class ScaleException : Exception
{
    public ScaleException(string message)
        : base(message) { }

    public ScaleException(string message, Exception innerException)
        : base(message, innerException) { }
}
