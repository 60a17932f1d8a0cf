namespace TorchBridge.Quantization;

/// <summary>A model was not quantized; no file was written.</summary>
public sealed class QuantizationException : Exception
{
    /// <summary>Makes an exception.</summary>
    public QuantizationException() { }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    public QuantizationException(string message)
        : base(message) { }

    /// <summary>Makes an exception with a cause.</summary>
    /// <param name="message">What is wrong and what to do.</param>
    /// <param name="innerException">What caused it.</param>
    public QuantizationException(string message, Exception innerException)
        : base(message, innerException) { }
}
