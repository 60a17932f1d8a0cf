using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Batching;

/// <summary>What a run gave a request, and what it took.</summary>
/// <param name="Outputs">In the order that the request wants them.</param>
/// <param name="Queued">Time in the queue.</param>
/// <param name="Run">Time of the run, of the whole batch.</param>
/// <param name="BatchRows">Rows of the batch that it ran in.</param>
internal sealed record ComputedOutputs(IReadOnlyList<Tensor> Outputs, TimeSpan Queued, TimeSpan Run, int BatchRows);
