using TorchBridge.Serving.Batching;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>
/// What the child process of <see cref="ChildProcessProbe"/> does: all that the server will do with the model before
/// it answers.
/// </summary>
internal static class ModelProbeProgram
{
    /// <summary>Exit code of a model that was refused in good order.</summary>
    public const int Refused = 3;

    /// <summary>Loads and runs a model.</summary>
    /// <param name="path">The model's file.</param>
    /// <param name="digest">Its hash as the server read it.</param>
    /// <returns>0 where it loads and runs, <see cref="Refused"/> where it does not; whatever the system says where it
    /// crashes.</returns>
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
