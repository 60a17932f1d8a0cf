namespace TorchBridge.Serving.Protocol;

/// <summary>An output that a request names.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Classes">How many of the most probable classes are wanted instead of the values; null for the
/// values.</param>
/// <param name="Binary">Whether it is sent as a binary tensor; null where the request as a whole decides.</param>
internal sealed record RequestedOutput(string Name, int? Classes = null, bool? Binary = null);
