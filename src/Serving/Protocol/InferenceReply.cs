namespace TorchBridge.Serving.Protocol;

/// <summary>The reply to an inference request, independent of its encoding (JSON, binary or gRPC).</summary>
/// <param name="ModelName">Name of the model.</param>
/// <param name="Version">Version of the model that computed the reply.</param>
/// <param name="Id">The request's id, which is returned; null if it had none.</param>
/// <param name="Parameters">The request's parameters, which are returned.</param>
/// <param name="Outputs">The output tensors, and whether each is sent as binary data.</param>
internal sealed record InferenceReply(
    string ModelName,
    string Version,
    string? Id,
    IReadOnlyDictionary<string, object> Parameters,
    IReadOnlyList<(Tensor Tensor, bool Binary)> Outputs
);
