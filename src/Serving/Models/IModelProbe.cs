using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Tries a model out where a crash does no harm.</summary>
internal interface IModelProbe
{
    /// <summary>Loads and runs a model.</summary>
    /// <param name="source">The model's file.</param>
    /// <exception cref="ModelLoadException">The model cannot be loaded, crashes, or takes too much time or
    /// memory.</exception>
    void Try(ModelSource source);
}
