using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>Writes files whole or not at all, and tells the user where that cannot be done.</summary>
internal static class AtomicWrite
{
    /// <summary>Writes a file.</summary>
    /// <exception cref="UserException">The place cannot be written.</exception>
    public static void File(string path, Action<Stream> write)
    {
        try
        {
            AtomicFile.Write(path, write);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>Writes a text file.</summary>
    public static void Text(string path, string text) =>
        File(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
