using Microsoft.AspNetCore.Http.Metadata;

namespace TorchBridge.Serving.Grpc;

/// <summary>
/// gRPC counts its messages itself, and answers RESOURCE_EXHAUSTED; the web server's own limit would end the call
/// without a status.
/// </summary>
internal sealed class MessageLimitOnly : IRequestSizeLimitMetadata
{
    /// <inheritdoc/>
    public long? MaxRequestBodySize => null;
}
