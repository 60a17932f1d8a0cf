using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>The outputs of one request, and how long it waited and ran.</summary>
/// <param name="Outputs">The outputs, in the order in which the request asked for them.</param>
/// <param name="Queued">Time in the queue.</param>
/// <param name="Run">Duration of the run of the whole batch.</param>
/// <param name="BatchRows">Number of rows of the batch in which the request ran.</param>
internal sealed record ComputedOutputs(IReadOnlyList<Tensor> Outputs, TimeSpan Queued, TimeSpan Run, int BatchRows);
