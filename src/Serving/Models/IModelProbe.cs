using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Tries a model where a crash does no harm.</summary>
internal interface IModelProbe
{
    /// <summary>Loads and runs it.</summary>
    /// <param name="source">The file's bytes and path.</param>
    /// <exception cref="ModelLoadException">It does not load, crashes, takes too long or too much memory.</exception>
    void Try(ModelSource source);
}
