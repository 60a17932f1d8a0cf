namespace TorchBridge.Serving.Protocol;

/// <summary>An inference request, independent of its encoding (JSON, binary or gRPC).</summary>
/// <param name="Id">The client's id for the request; null if it gave none.</param>
/// <param name="Parameters">Parameters of the request as a whole; each value is a string, bool, long or
/// double.</param>
/// <param name="Inputs">The input tensors.</param>
/// <param name="Outputs">The requested outputs; empty to request all.</param>
internal sealed record InferenceRequest(
    string? Id,
    IReadOnlyDictionary<string, object> Parameters,
    IReadOnlyList<Tensor> Inputs,
    IReadOnlyList<RequestedOutput> Outputs
)
{
    /// <summary>An empty set of parameters.</summary>
    public static IReadOnlyDictionary<string, object> NoParameters { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    /// <summary>Whether outputs are sent as binary data unless they say otherwise themselves.</summary>
    public bool BinaryByDefault { get; init; }
}
