using System.Formats.Tar;
using System.IO.Compression;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Reads the files of a folder, a .zip or a .tar.gz: pictures with their paths, and the folders, empty ones
/// too.</summary>
internal static class PictureFiles
{
    /// <summary>Reads everything that is a picture by its name.</summary>
    /// <exception cref="UserException">There is no such place, or it cannot be read.</exception>
    public static (List<EncodedPicture> Pictures, HashSet<string> Folders) Read(string path)
    {
        try
        {
            if (Directory.Exists(path))
                return ReadFolder(path);
            if (!File.Exists(path))
                throw new UserException(
                    $"--data {path}: there is no such folder or file. Give a folder with one sub-folder a "
                        + "class, a .zip or .tar.gz of such, `cifar10`, or nothing for the built-in pictures."
                );
            if (path.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
                return ReadZip(path);
            if (
                path.EndsWith(".tar.gz", StringComparison.OrdinalIgnoreCase)
                || path.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase)
            )
                return ReadTar(path);
            throw new UserException(
                $"--data {path}: a file must be a .zip or .tar.gz of a folder with one sub-folder a class."
            );
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new UserException($"--data {path} cannot be read: {error.Message}", error);
        }
    }

    private static (List<EncodedPicture>, HashSet<string>) ReadFolder(string path)
    {
        var folders = Directory
            .EnumerateDirectories(path, "*", SearchOption.AllDirectories)
            .Select(folder => Relative(path, folder))
            .ToHashSet(StringComparer.Ordinal);
        var files = Directory
            .EnumerateFiles(path, "*", SearchOption.AllDirectories)
            .Where(PictureReader.IsPicture)
            .Order(StringComparer.Ordinal);
        return (
            [.. files.Select(file => new EncodedPicture(Relative(path, file), () => File.ReadAllBytes(file)))],
            folders
        );
    }

    private static (List<EncodedPicture>, HashSet<string>) ReadZip(string path)
    {
        using var archive = ZipFile.OpenRead(path);
        var pictures = new List<EncodedPicture>();
        var folders = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in archive.Entries.OrderBy(entry => entry.FullName, StringComparer.Ordinal))
        {
            if (entry.FullName.EndsWith('/'))
                folders.Add(entry.FullName.TrimEnd('/'));
            else if (PictureReader.IsPicture(entry.FullName))
                pictures.Add(new EncodedPicture(entry.FullName, ToArray(entry.Open())));
        }

        return (pictures, folders);
    }

    private static (List<EncodedPicture>, HashSet<string>) ReadTar(string path)
    {
        using var stream = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var archive = new TarReader(stream);
        var pictures = new List<EncodedPicture>();
        var folders = new HashSet<string>(StringComparer.Ordinal);
        while (TarEntries.Next(archive) is { } entry)
        {
            var name = entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name;
            if (entry.EntryType == TarEntryType.Directory)
                folders.Add(name.TrimEnd('/'));
            else if (entry.DataStream is { } data && PictureReader.IsPicture(name))
                pictures.Add(new EncodedPicture(name, ToArray(data)));
        }

        pictures.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return (pictures, folders);
    }

    private static byte[] ToArray(Stream stream)
    {
        using (stream)
        {
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            return memory.ToArray();
        }
    }

    private static string Relative(string root, string path) =>
        Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/');
}
