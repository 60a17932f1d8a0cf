namespace TorchBridge.Quantization;

/// <summary>The exception thrown when a model cannot be quantized; no file was written.</summary>
public sealed class QuantizationException : Exception
{
    /// <summary>Creates an exception.</summary>
    public QuantizationException() { }

    /// <summary>Creates an exception.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    public QuantizationException(string message)
        : base(message) { }

    /// <summary>Creates an exception with a cause.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    /// <param name="innerException">The cause.</param>
    public QuantizationException(string message, Exception innerException)
        : base(message, innerException) { }
}
