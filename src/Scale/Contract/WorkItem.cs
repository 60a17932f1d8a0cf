namespace TorchBridge.Scale.Contract;

/// <summary>A piece of work that is independent of all others: a trial of a sweep, or a shard of a
/// manifest.</summary>
/// <param name="Index">Its index in the job, from 0.</param>
/// <param name="Id">Hash of everything that decides its result.</param>
/// <param name="File">Name of the file in which its result is published.</param>
internal sealed record WorkItem(int Index, string Id, string File);
