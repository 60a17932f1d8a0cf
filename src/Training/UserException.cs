namespace TorchBridge.Training;

/// <summary>Something the user can mend: told in one paragraph, without a stack trace, with a non-zero exit.</summary>
internal class UserException : Exception
{
    public UserException(string message)
        : base(message) { }

    public UserException(string message, Exception innerException)
        : base(message, innerException) { }
}

/// <summary>The loss is not a number any more.</summary>
internal sealed class TrainingDivergedException(string message) : UserException(message);
