using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>The reply to a request, and details about its computation.</summary>
/// <param name="Reply">The reply.</param>
/// <param name="Inputs">The input tensors of the run; for a picture, the pixels that the network received.</param>
/// <param name="Times">Duration of each step.</param>
/// <param name="BatchRows">Number of rows of the batch in which the request ran.</param>
internal sealed record InferenceResult(
    InferenceReply Reply,
    IReadOnlyList<Tensor> Inputs,
    InferenceTimes Times,
    int BatchRows
);

/// <summary>Duration of each step of a request.</summary>
/// <param name="Decode">Time to decode the pictures.</param>
/// <param name="Queue">Time that the request waited in the queue.</param>
/// <param name="Run">Time to run the batch.</param>
internal sealed record InferenceTimes(TimeSpan Decode, TimeSpan Queue, TimeSpan Run);
