using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Finds the pictures of a folder, a .zip or a .tar.gz, and its folders, including empty ones. Contents are
/// read only when needed.</summary>
internal static class PictureFiles
{
    /// <summary>Finds everything that may be a picture by its name.</summary>
    /// <param name="path">A folder, a .zip, a .tar.gz or a .tgz; it may be a link.</param>
    /// <exception cref="UserException">The path does not exist or cannot be read.</exception>
    public static FoundPictures Find(string path)
    {
        try
        {
            if (Directory.Exists(path))
                return FolderWalk.Of(path);
            if (!File.Exists(path))
                throw new UserException(
                    $"--data {path}: there is no such folder or file. Give a folder with one subfolder per "
                        + "class, a .zip or .tar.gz of such a folder, or `cifar10`; omit --data for the built-in "
                        + "pictures."
                );
            if (FolderWalk.IsSpecial(new FileInfo(Resolved(path))))
                throw new UserException($"--data {path} is a pipe or a device. Give a folder, a .zip or a .tar.gz.");
            if (path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
                return ZipPictures.Find(path);
            if (
                path.EndsWith(".tar.gz", StringComparison.OrdinalIgnoreCase)
                || path.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase)
            )
                return TarPictures.Find(path);
            throw new UserException(
                $"--data {path}: a file must be a .zip or .tar.gz of a folder with one subfolder per class."
            );
        }
        catch (Exception error)
            when (error is IOException or InvalidDataException or UnauthorizedAccessException or InvalidPictureException
            )
        {
            throw new UserException($"--data {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The target of a path if it is a link, otherwise the path.</summary>
    /// <param name="path">The path.</param>
    private static string Resolved(string path) =>
        File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
}
