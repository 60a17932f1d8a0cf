namespace TorchBridge.Serving.Protocol;

/// <summary>An output that a request asks for.</summary>
/// <param name="Name">Name of the output.</param>
/// <param name="Classes">Number of highest-scoring classes to return instead of the values; null to return the
/// values.</param>
/// <param name="Binary">Whether the output is sent as binary data; null if the setting of the whole request
/// applies.</param>
internal sealed record RequestedOutput(string Name, int? Classes = null, bool? Binary = null);
