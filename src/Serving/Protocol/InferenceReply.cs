namespace TorchBridge.Serving.Protocol;

/// <summary>What a model answered, before it becomes JSON, binary or gRPC.</summary>
/// <param name="ModelName">Name of the model.</param>
/// <param name="Version">The version that computed it.</param>
/// <param name="Id">The request's own name, given back.</param>
/// <param name="Parameters">The request's parameters, given back.</param>
/// <param name="Outputs">The tensors, each with whether it is sent as a binary tensor.</param>
internal sealed record InferenceReply(
    string ModelName,
    string Version,
    string? Id,
    IReadOnlyDictionary<string, object> Parameters,
    IReadOnlyList<(Tensor Tensor, bool Binary)> Outputs
);
