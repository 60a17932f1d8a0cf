namespace TorchBridge.Serving.Operation;

/// <summary>An invalid command line; the message is shown to the user.</summary>
internal sealed class UsageException(string message) : Exception(message);
