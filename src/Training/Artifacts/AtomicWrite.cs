namespace TorchBridge.Training.Artifacts;

/// <summary>Writes files whole or not at all: to a temporary name, flushed, renamed.</summary>
internal static class AtomicWrite
{
    /// <summary>Called between the temporary file and its rename; tests die there.</summary>
    internal static Action<string>? BeforeRename { get; set; }

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

            BeforeRename?.Invoke(temporary);
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

    /// <summary>Deletes temporary files that a killed process has left of a file.</summary>
    public static void RemoveLeftovers(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach (var left in Directory.EnumerateFiles(folder, $"{Path.GetFileName(path)}.*.tmp")) System.IO.File.Delete(left);
    }

    /// <summary>Writes a text file.</summary>
    public static void Text(string path, string text) => File(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
}
