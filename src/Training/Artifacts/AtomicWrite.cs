using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>Writes files completely or not at all, with a clear error if that is not possible.</summary>
internal static class AtomicWrite
{
    /// <summary>Writes a file.</summary>
    /// <param name="path">The final path; an existing file is replaced.</param>
    /// <param name="write">Writes the content; if it throws, the old file is kept.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
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
    /// <param name="path">The final path.</param>
    /// <param name="text">Its content, written as UTF-8 without a byte order mark.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Text(string path, string text) =>
        File(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
