using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>Writes files whole or not at all, and tells the user where that cannot be done.</summary>
internal static class AtomicWrite
{
    /// <summary>Writes a file.</summary>
    /// <param name="path">Where it stands when it is whole; what was there before is replaced.</param>
    /// <param name="write">Writes the content; where it throws, the old file stays.</param>
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
    /// <param name="path">Where it stands when it is whole.</param>
    /// <param name="text">Its content, as UTF-8 without a mark.</param>
    /// <exception cref="UserException">The place cannot be written.</exception>
    public static void Text(string path, string text) =>
        File(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
