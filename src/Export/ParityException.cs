namespace TorchBridge.Export;

/// <summary>The exported graph does not compute what the module computes. No file was written.</summary>
public sealed class ParityException : ExportException
{
    /// <summary>Makes an exception without details.</summary>
    public ParityException() { }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">Which output, which element, both values, the environment.</param>
    public ParityException(string message)
        : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">Which output, which element, both values, the environment.</param>
    /// <param name="innerException">What caused it.</param>
    public ParityException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>What had been measured when it failed; null where nothing had been run yet.</summary>
    public ParityReport? Report { get; init; }
}
