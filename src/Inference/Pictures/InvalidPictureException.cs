namespace TorchBridge.Inference.Pictures;

/// <summary>A picture cannot be read: it is no picture, or it ends too early. The message names the file.</summary>
public sealed class InvalidPictureException : Exception
{
    /// <summary>Makes an exception without details.</summary>
    public InvalidPictureException() { }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">Which picture, and what is wrong with it.</param>
    public InvalidPictureException(string message)
        : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">Which picture, and what is wrong with it.</param>
    /// <param name="innerException">What caused it.</param>
    public InvalidPictureException(string message, Exception innerException)
        : base(message, innerException) { }
}
