namespace TorchBridge.Serving.Batching;

/// <summary>How requests of one model version are put together.</summary>
/// <param name="MaxRows">Rows of the largest batch; 1 where every request runs alone.</param>
/// <param name="Delay">How long the oldest request of an incomplete batch waits for others at most.</param>
/// <param name="Capacity">Requests that may wait; the next is refused.</param>
internal sealed record BatchSettings(int MaxRows, TimeSpan Delay, int Capacity);
