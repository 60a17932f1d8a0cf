using System.CommandLine;

namespace TorchBridge.Training.Commands;

/// <summary>An option that names a file to write. Whether it can be written is checked before the work, not after
/// it.</summary>
/// <param name="name">Name of the option, with its dashes.</param>
internal sealed class OutputFileOption(string name) : Option<string?>(name)
{
    /// <summary>Why a file cannot be written, in a sentence; null if it can.</summary>
    /// <param name="path">The file; an existing file is not changed.</param>
    public string? Fault(string path)
    {
        if (Directory.Exists(path))
            return $"{Name} {path} is a folder. Give the path of a file.";
        try
        {
            // A temporary file beside it, because this is how files are written.
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
            return $"{Name} {path}: the folder does not exist. Create it, or give another path.";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"{Name} {path} cannot be written: {error.Message}";
        }
    }
}
