using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Finds the pictures of a folder, a .zip or a .tar.gz, and the folders, empty ones too. Their contents are
/// read when they are needed.</summary>
internal static class PictureFiles
{
    /// <summary>Finds everything that is a picture by its name.</summary>
    /// <param name="path">A folder, a .zip, a .tar.gz or a .tgz; it may be a link.</param>
    /// <exception cref="UserException">There is no such place, or it cannot be read.</exception>
    public static FoundPictures Find(string path)
    {
        try
        {
            if (Directory.Exists(path))
                return FolderWalk.Of(path);
            if (!File.Exists(path))
                throw new UserException(
                    $"--data {path}: there is no such folder or file. Give a folder with one sub-folder a "
                        + "class, a .zip or .tar.gz of such, `cifar10`, or nothing for the built-in pictures."
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
                $"--data {path}: a file must be a .zip or .tar.gz of a folder with one sub-folder a class."
            );
        }
        catch (Exception error)
            when (error is IOException or InvalidDataException or UnauthorizedAccessException or InvalidPictureException
            )
        {
            throw new UserException($"--data {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>What a path leads to, if it is a link.</summary>
    /// <param name="path">The path.</param>
    private static string Resolved(string path) =>
        File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
}
