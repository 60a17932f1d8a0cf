namespace TorchBridge.Export;

/// <summary>Thrown when the exported graph does not compute what the module computes. No file was written.</summary>
public sealed class ParityException : ExportException
{
    /// <summary>Creates an exception without details.</summary>
    public ParityException() { }

    /// <summary>Creates an exception.</summary>
    /// <param name="message">The output, the element, both values and the environment.</param>
    public ParityException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a cause.</summary>
    /// <param name="message">The output, the element, both values and the environment.</param>
    /// <param name="innerException">What caused it.</param>
    public ParityException(string message, Exception innerException)
        : base(message, innerException) { }

    /// <summary>What had been measured before the failure; null if nothing had been run yet.</summary>
    public ParityReport? Report { get; init; }
}
