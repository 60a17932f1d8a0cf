namespace TorchBridge.Serving.Protocol;

/// <summary>
/// A refused request. The message is sent to the client, so it must reveal no paths, no stack trace and no other
/// internals.
/// </summary>
internal sealed class RequestRefusedException : Exception
{
    /// <summary>Creates a refusal.</summary>
    /// <param name="kind">The reason, which decides the HTTP or gRPC status.</param>
    /// <param name="message">Says what is wrong; sent to the client.</param>
    public RequestRefusedException(RefusalKind kind, string message)
        : base(message) => Kind = kind;

    /// <summary>Creates a refusal with a cause, which is logged but not sent.</summary>
    /// <param name="kind">The reason, which decides the HTTP or gRPC status.</param>
    /// <param name="message">Says what is wrong; sent to the client.</param>
    /// <param name="innerException">The cause.</param>
    public RequestRefusedException(RefusalKind kind, string message, Exception innerException)
        : base(message, innerException) => Kind = kind;

    /// <summary>The reason, which decides the HTTP or gRPC status.</summary>
    public RefusalKind Kind { get; }

    /// <summary>Creates a refusal of a request that contradicts itself, the protocol or the model.</summary>
    /// <param name="message">Says what is wrong; sent to the client.</param>
    public static RequestRefusedException Invalid(string message) => new(RefusalKind.Invalid, message);

    /// <summary>Creates a refusal of a request whose deadline has passed before a batch took it.</summary>
    public static RequestRefusedException Expired() =>
        new(RefusalKind.Expired, "the request has waited longer than its timeout; the server is busy, try again later");
}
