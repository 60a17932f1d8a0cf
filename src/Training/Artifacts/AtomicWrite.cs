namespace TorchBridge.Training.Artifacts;

/// <summary>Writes files whole or not at all: to a temporary name, flushed, renamed.</summary>
internal static class AtomicWrite
{
    /// <summary>Writes a file.</summary>
    /// <exception cref="UserException">The place cannot be written.</exception>
    public static void File(string path, Action<Stream> write)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            System.IO.File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be written: {error.Message}", error);
        }
        finally
        {
            if (System.IO.File.Exists(temporary)) System.IO.File.Delete(temporary);
        }
    }

    /// <summary>Writes a text file.</summary>
    public static void Text(string path, string text) => File(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
