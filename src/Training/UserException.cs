namespace TorchBridge.Training;

/// <summary>Something the user can mend: told in one paragraph, without a stack trace, with a non-zero exit.</summary>
internal sealed class UserException : Exception
{
    public UserException(string message) : base(message) { }

    public UserException(string message, Exception innerException) : base(message, innerException) { }
}
