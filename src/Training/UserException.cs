namespace TorchBridge.Training;

/// <summary>An error that the user can fix: reported as one paragraph, without a stack trace, with a non-zero exit
/// code.</summary>
internal class UserException : Exception
{
    /// <summary>Creates an exception with a message.</summary>
    /// <param name="message">One paragraph: what is wrong and what to do.</param>
    public UserException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a message and a cause.</summary>
    /// <param name="message">One paragraph: what is wrong and what to do.</param>
    /// <param name="innerException">The cause, for debugging.</param>
    public UserException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>Creates an exception for a model that is missing or cannot be used.</summary>
    /// <param name="path">Path of the model.</param>
    /// <param name="error">The error from opening it; its message names the file.</param>
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

/// <summary>Thrown when the loss has become NaN or infinite.</summary>
internal sealed class TrainingDivergedException(string message) : UserException(message);
