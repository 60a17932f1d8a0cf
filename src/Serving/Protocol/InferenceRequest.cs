namespace TorchBridge.Serving.Protocol;

/// <summary>A request as every door reads it: JSON, binary and gRPC.</summary>
/// <param name="Id">What the client calls it; null where it does not.</param>
/// <param name="Parameters">Parameters of the whole request: string, bool, long or double.</param>
/// <param name="Inputs">The tensors.</param>
/// <param name="Outputs">The outputs asked for; none asks for all.</param>
internal sealed record InferenceRequest(
    string? Id,
    IReadOnlyDictionary<string, object> Parameters,
    IReadOnlyList<Tensor> Inputs,
    IReadOnlyList<RequestedOutput> Outputs
)
{
    /// <summary>No parameters.</summary>
    public static IReadOnlyDictionary<string, object> NoParameters { get; } =
        new Dictionary<string, object>(StringComparer.Ordinal);

    /// <summary>Whether outputs that say nothing themselves are sent as binary tensors.</summary>
    public bool BinaryByDefault { get; init; }
}
