using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>A cache of files that can be created again, named by the hash of their inputs; the oldest are deleted if
/// it grows too large.</summary>
/// <param name="name">Name of the folder.</param>
/// <param name="largestBytes">Largest size of the folder in bytes.</param>
internal sealed class CacheFolder(string name, long largestBytes)
{
    /// <summary>Path of the folder: <c>~/.cache/torchbridge/NAME</c> on Linux.</summary>
    public string Folder { get; init; } = UserCache.Folder(name);

    /// <summary>The path of the file for a key, or null.</summary>
    /// <param name="key">The hash of the file's inputs.</param>
    /// <returns>Its path; the file may be deleted at any time.</returns>
    public string? Find(string key)
    {
        var path = Path.Combine(Folder, key);
        return File.Exists(path) ? path : null;
    }

    /// <summary>Adds a file; if the folder cannot be written, the file is simply not cached.</summary>
    /// <param name="key">The hash of the file's inputs.</param>
    /// <param name="write">Writes it to a path, completely or not at all.</param>
    public void Add(string key, Action<string> write)
    {
        try
        {
            Directory.CreateDirectory(Folder);
            write(Path.Combine(Folder, key));
            Prune(key);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or UserException)
        {
            // A cache only improves speed.
        }
    }

    /// <summary>
    /// Deletes the oldest files until the folder is small enough, except the one just added.
    /// </summary>
    /// <param name="added">Name of the file just added.</param>
    private void Prune(string added)
    {
        var total = 0L;
        foreach (var file in new DirectoryInfo(Folder).GetFiles().OrderByDescending(file => file.LastWriteTimeUtc))
        {
            total += file.Length;
            if (total > largestBytes && file.Name != added)
                file.Delete();
        }
    }
}
