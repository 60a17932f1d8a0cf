namespace TorchBridge.Serving.Operation;

/// <summary>The program was started in a way that it does not understand.</summary>
internal sealed class UsageException(string message) : Exception(message);
