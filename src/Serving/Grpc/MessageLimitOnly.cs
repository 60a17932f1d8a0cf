using Microsoft.AspNetCore.Http.Metadata;

namespace TorchBridge.Serving.Grpc;

/// <summary>
/// Turns Kestrel's limit on the request body off for gRPC. gRPC itself limits the size of messages and answers
/// RESOURCE_EXHAUSTED; Kestrel's limit would end the call without a status.
/// </summary>
internal sealed class MessageLimitOnly : IRequestSizeLimitMetadata
{
    /// <inheritdoc/>
    public long? MaxRequestBodySize => null;
}
