namespace TorchBridge.Serving.Protocol;

/// <summary>Reasons for refusing a request. Each corresponds to an HTTP status and a gRPC status.</summary>
internal enum RefusalKind
{
    /// <summary>The request contradicts itself, the protocol or the model: 400, INVALID_ARGUMENT.</summary>
    Invalid,

    /// <summary>There is no such model or version: 404, NOT_FOUND.</summary>
    NotFound,

    /// <summary>The request exceeds a limit of the server: 413, RESOURCE_EXHAUSTED.</summary>
    TooLarge,

    /// <summary>The encoding of the body is not supported: 415, UNIMPLEMENTED.</summary>
    Unsupported,

    /// <summary>The server is at a limit or is not ready: 503 with Retry-After, UNAVAILABLE.</summary>
    Unavailable,

    /// <summary>The request has waited longer than its timeout: 503 with Retry-After, DEADLINE_EXCEEDED.</summary>
    Expired,

    /// <summary>The client sent the request too slowly: 408, DEADLINE_EXCEEDED.</summary>
    TooSlow,

    /// <summary>The model failed: 500, INTERNAL.</summary>
    Failed,
}
