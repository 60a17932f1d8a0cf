using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Artifacts;

/// <summary>A folder of files that can be made again, named by the hash of what they are made from; the oldest go
/// where it grows too large.</summary>
/// <param name="name">Name of the folder.</param>
/// <param name="largestBytes">How large it may grow, in bytes.</param>
internal sealed class CacheFolder(string name, long largestBytes)
{
    /// <summary>Where files are kept: <c>~/.cache/torchbridge/NAME</c> on Linux.</summary>
    public string Folder { get; init; } = UserCache.Folder(name);

    /// <summary>The file of a key, or null.</summary>
    /// <param name="key">The hash of what the file was made from.</param>
    /// <returns>Its path; who reads it must bear that it goes meanwhile.</returns>
    public string? Find(string key)
    {
        var path = Path.Combine(Folder, key);
        return File.Exists(path) ? path : null;
    }

    /// <summary>Adds a file; where the folder cannot be written, nothing is kept, and nothing is lost.</summary>
    /// <param name="key">Its name.</param>
    /// <param name="write">Writes it to a path, whole or not at all.</param>
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
            // A cache is for speed only.
        }
    }

    /// <summary>
    /// Removes the files that were written longest ago until the folder is small enough; the one just added stays.
    /// </summary>
    /// <param name="added">Its name.</param>
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
