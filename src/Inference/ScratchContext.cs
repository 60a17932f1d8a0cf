using Microsoft.ML;
using TorchBridge.Onnx.Files;

namespace TorchBridge.Inference;

/// <summary>
/// An ML.NET context with its own folder for the temporary files of saving and loading zips. ML.NET's file names do
/// not identify the process but the folder's name does, so that the next start can remove it after a kill.
/// </summary>
internal sealed class ScratchContext : IDisposable
{
    private readonly DirectoryInfo folder = ProcessFiles.NewFolder("stock");

    /// <summary>Creates the folder.</summary>
    /// <exception cref="IOException">The folder cannot be created.</exception>
    public ScratchContext() => Context = new MLContext(seed: 0) { TempFilePath = folder.FullName };

    /// <summary>The context, valid until this object is disposed.</summary>
    public MLContext Context { get; }

    /// <summary>Removes the folder.</summary>
    public void Dispose() => folder.Delete(recursive: true);
}
