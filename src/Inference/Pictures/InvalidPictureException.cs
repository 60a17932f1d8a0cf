namespace TorchBridge.Inference.Pictures;

/// <summary>The exception thrown when a picture cannot be read because it is not a picture or is truncated. The
/// message names the file.</summary>
public sealed class InvalidPictureException : Exception
{
    /// <summary>Creates an exception without details.</summary>
    public InvalidPictureException() { }

    /// <summary>Creates an exception.</summary>
    /// <param name="message">The picture and what is wrong with it.</param>
    public InvalidPictureException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a cause.</summary>
    /// <param name="message">The picture and what is wrong with it.</param>
    /// <param name="innerException">The cause.</param>
    public InvalidPictureException(string message, Exception innerException)
        : base(message, innerException) { }
}
