namespace TorchBridge.Training;

/// <summary>Something the user can mend: told in one paragraph, without a stack trace, with a non-zero exit.</summary>
internal class UserException : Exception
{
    /// <summary>With a message of its own.</summary>
    /// <param name="message">One paragraph: what is wrong, and what to do.</param>
    public UserException(string message)
        : base(message) { }

    /// <summary>With what was caught.</summary>
    /// <param name="message">One paragraph: what is wrong, and what to do.</param>
    /// <param name="innerException">The cause, for those who debug.</param>
    public UserException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>Of a model that is not there, or cannot be used.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="error">What opening it ended in; its message names the file.</param>
    public static UserException OfModel(string path, Exception error) =>
        new(
            (
                error is FileNotFoundException or DirectoryNotFoundException
                    ? $"There is no model at {path}"
                    : error.Message.TrimEnd('.')
            ) + ". Train a model first, or name its folder with --out.",
            error
        );
}

/// <summary>The loss is not a number any more.</summary>
internal sealed class TrainingDivergedException(string message) : UserException(message);
