using System.CommandLine;

namespace TorchBridge.Training.Commands;

/// <summary>An option that names a file to write. That it can be written is seen before the work, not after
/// it.</summary>
/// <param name="name">With its dashes.</param>
internal sealed class OutputFileOption(string name) : Option<string?>(name)
{
    /// <summary>Why a file cannot be written, in a sentence; null where it can.</summary>
    /// <param name="path">The file; one that is there stays as it is.</param>
    public string? Fault(string path)
    {
        if (Directory.Exists(path))
            return $"{Name} {path} is a folder. Name a file.";
        try
        {
            // A new name beside it: that is how files are written.
            using var probe = new FileStream(
                $"{path}.{Guid.NewGuid():N}.tmp",
                FileMode.CreateNew,
                FileAccess.Write,
                FileShare.None,
                bufferSize: 1,
                FileOptions.DeleteOnClose
            );
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return $"{Name} {path}: its folder is not there. Make it, or name another place.";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"{Name} {path} cannot be written: {error.Message}";
        }
    }
}
