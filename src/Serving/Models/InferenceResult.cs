using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>An answer, and how it came about.</summary>
/// <param name="Reply">The answer.</param>
/// <param name="Inputs">The tensors that were run: of a picture, the pixels that the network saw.</param>
/// <param name="Times">What took how long.</param>
/// <param name="BatchRows">Rows of the batch that it ran in.</param>
internal sealed record InferenceResult(
    InferenceReply Reply,
    IReadOnlyList<Tensor> Inputs,
    InferenceTimes Times,
    int BatchRows
);

/// <summary>What took how long.</summary>
/// <param name="Decode">Pictures were decoded.</param>
/// <param name="Queue">The request waited.</param>
/// <param name="Run">The batch was run.</param>
internal sealed record InferenceTimes(TimeSpan Decode, TimeSpan Queue, TimeSpan Run);
