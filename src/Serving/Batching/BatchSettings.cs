namespace TorchBridge.Serving.Batching;

/// <summary>How requests of one model version are combined into batches.</summary>
/// <param name="MaxRows">Maximum number of rows in a batch; 1 if every request runs alone.</param>
/// <param name="Delay">Maximum time that the oldest request of an incomplete batch waits for others.</param>
/// <param name="Capacity">Maximum number of waiting requests; further ones are refused.</param>
internal sealed record BatchSettings(int MaxRows, TimeSpan Delay, int Capacity);
