using Microsoft.ML;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// A context of ML.NET with a folder for the files that it writes on the way to a zip and out of one. Their names do not
/// say whose they are; the folder's does, so that the next start removes it after a kill.
/// </summary>
internal sealed class ScratchContext : IDisposable
{
    private readonly DirectoryInfo folder = ProcessFiles.NewFolder("stock");

    /// <summary>Makes the folder.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public ScratchContext() => Context = new MLContext(seed: 0) { TempFilePath = folder.FullName };

    /// <summary>The context, as long as this lives.</summary>
    public MLContext Context { get; }

    /// <summary>Removes the folder.</summary>
    public void Dispose() => folder.Delete(recursive: true);
}
