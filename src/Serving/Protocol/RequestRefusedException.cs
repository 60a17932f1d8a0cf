namespace TorchBridge.Serving.Protocol;

/// <summary>A request is not answered. The message goes to the client: no path, no trace, nothing of the server's
/// memory.</summary>
internal sealed class RequestRefusedException : Exception
{
    /// <summary>Makes a refusal.</summary>
    /// <param name="kind">Which status each door answers with.</param>
    /// <param name="message">What is wrong, for the client.</param>
    public RequestRefusedException(RefusalKind kind, string message)
        : base(message) => Kind = kind;

    /// <summary>Makes a refusal with a cause, which is logged and not sent.</summary>
    /// <param name="kind">Which status each door answers with.</param>
    /// <param name="message">What is wrong, for the client.</param>
    /// <param name="innerException">The cause.</param>
    public RequestRefusedException(RefusalKind kind, string message, Exception innerException)
        : base(message, innerException) => Kind = kind;

    /// <summary>Why.</summary>
    public RefusalKind Kind { get; }

    /// <summary>The request contradicts itself, the protocol or the model.</summary>
    /// <param name="message">What is wrong, for the client.</param>
    public static RequestRefusedException Invalid(string message) => new(RefusalKind.Invalid, message);
}
