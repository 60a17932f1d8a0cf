using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// The program that the child process of <see cref="ChildProcessProbe"/> runs: it does everything that the server
/// does with a model before its first request.
/// </summary>
internal static class ModelProbeProgram
{
    /// <summary>Exit code for a model that was refused with an error message.</summary>
    public const int Refused = 3;

    /// <summary>Loads and runs a model.</summary>
    /// <param name="path">The model's file.</param>
    /// <param name="digest">The hash of the file that the server read.</param>
    /// <returns>0 if the model loads and runs, <see cref="Refused"/> if not. If it crashes, the system sets the exit
    /// code.</returns>
    public static int Run(string path, string digest)
    {
        try
        {
            var source = ModelSource.Read(path);
            if (source.Digest != digest)
                throw new ModelLoadException($"{path} has changed while it was loaded");
            using var session = RuntimeSession.Open(source, new RuntimeSettings());
            RowIndependence.Check(session, seed: 1);
            ModelWarmUp.Run(session, maxRows: 1);
            return 0;
        }
        catch (ModelLoadException error)
        {
            Console.Error.WriteLine(error.Message);
            return Refused;
        }
    }
}
