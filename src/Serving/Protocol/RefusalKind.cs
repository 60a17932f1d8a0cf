namespace TorchBridge.Serving.Protocol;

/// <summary>Why a request is not answered. Every door has a status of its own for each.</summary>
internal enum RefusalKind
{
    /// <summary>The request contradicts itself, the protocol or the model: 400, INVALID_ARGUMENT.</summary>
    Invalid,

    /// <summary>There is no such model or version: 404, NOT_FOUND.</summary>
    NotFound,

    /// <summary>It is larger than a limit of the server: 413, RESOURCE_EXHAUSTED.</summary>
    TooLarge,

    /// <summary>An encoding that is not read: 415, UNIMPLEMENTED.</summary>
    Unsupported,

    /// <summary>The server has no room or is not ready: 503 with Retry-After, UNAVAILABLE.</summary>
    Unavailable,

    /// <summary>It has waited longer than it was allowed to: 503 with Retry-After, DEADLINE_EXCEEDED.</summary>
    Expired,

    /// <summary>The client was too slow to send it: 408, DEADLINE_EXCEEDED.</summary>
    TooSlow,

    /// <summary>The model failed for a reason of its own: 500, INTERNAL.</summary>
    Failed,
}
