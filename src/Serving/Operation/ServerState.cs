using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Operation;

/// <summary>Whether the server is ready, or about to stop.</summary>
internal sealed class ServerState(ModelRegistry registry)
{
    /// <summary>
    /// Whether the server ends: it is not ready any more, and answers what it has.
    /// </summary>
    private volatile bool isDraining;

    /// <summary>Whether it was told to stop: it answers, but should get no more.</summary>
    public bool IsDraining => isDraining;

    /// <summary>Whether all models answer and it is not about to stop.</summary>
    public bool IsReady => !isDraining && registry.IsReady;

    /// <summary>It was told to stop: from now on it says that it is not ready.</summary>
    public void Drain() => isDraining = true;
}
