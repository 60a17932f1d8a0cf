namespace TorchBridge.Scale.Contract;

/// <summary>A piece of work that needs no other: a trial of a sweep, a shard of a manifest.</summary>
/// <param name="Index">Its place in the job, from 0.</param>
/// <param name="Id">Hash of all that decides its result.</param>
/// <param name="File">Name of the file that its result is published under.</param>
internal sealed record WorkItem(int Index, string Id, string File);
