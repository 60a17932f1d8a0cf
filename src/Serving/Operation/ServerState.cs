using TorchBridge.Serving.Models;

namespace TorchBridge.Serving.Operation;

/// <summary>Knows whether the server is ready and whether it is about to stop.</summary>
internal sealed class ServerState(ModelRegistry registry)
{
    private volatile bool isDraining;

    /// <summary>Whether the server was told to stop; it still answers requests but should get no new ones.</summary>
    public bool IsDraining => isDraining;

    /// <summary>Whether all models can be used and the server was not told to stop.</summary>
    public bool IsReady => !isDraining && registry.IsReady;

    /// <summary>Marks the server as told to stop; from now on it is not ready.</summary>
    public void Drain() => isDraining = true;
}
