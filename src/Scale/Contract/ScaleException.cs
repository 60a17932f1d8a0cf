namespace TorchBridge.Scale.Contract;

/// <summary>Something that the user can mend, or has to know: told in one paragraph.</summary>
internal sealed class ScaleException : Exception
{
    public ScaleException(string message)
        : base(message) { }

    public ScaleException(string message, Exception innerException)
        : base(message, innerException) { }
}
