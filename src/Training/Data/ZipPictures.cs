using System.IO.Compression;
using ICSharpCode.SharpZipLib.Checksum;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>The pictures of a .zip: found by their names, and unpacked one at a time when needed.</summary>
internal sealed class ZipPictures
{
    private const int UnixKind = 0xF000,
        UnixLink = 0xA000;
    private readonly ZipArchive archive;

    // The library's archive has a single file position.
    private readonly Lock gate = new();

    private ZipPictures(ZipArchive archive) => this.archive = archive;

    /// <summary>Finds the pictures in an archive.</summary>
    /// <param name="path">The archive; it stays open as long as its pictures are in use.</param>
    /// <exception cref="UserException">The archive exceeds the limits, or contains a name twice.</exception>
    /// <exception cref="InvalidDataException">It is not an archive.</exception>
    public static FoundPictures Find(string path)
    {
        var zip = new ZipPictures(
            new ZipArchive(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete))
        );
        try
        {
            return zip.Find(path, new ArchiveLimits(path, new FileInfo(path).Length));
        }
        catch
        {
            zip.archive.Dispose();
            throw;
        }
    }

    /// <summary>Reads the archive's list of entries without unpacking anything.</summary>
    /// <param name="path">Path of the archive, for error messages.</param>
    /// <param name="limits">Checks the unpacked sizes.</param>
    private FoundPictures Find(string path, ArchiveLimits limits)
    {
        var found = new FoundPictures([], new(StringComparer.Ordinal), new());
        var entries = new ArchiveEntries(path, found);
        foreach (var entry in archive.Entries)
        {
            if (entries.Name(entry.FullName, out var name, out var isFolder))
                continue;
            if (isFolder)
                found.Folders.Add(name);
            else if (((entry.ExternalAttributes >> 16) & UnixKind) == UnixLink)
                found.LeftOut.Add(LeftOut.Reason.Link, name);
            else if (!PictureNames.MayBePicture(name))
                found.LeftOut.Add(LeftOut.Reason.NoPicture, name);
            else
            {
                if (entry.IsEncrypted)
                    throw new UserException(
                        $"--data {path}: {name} is encrypted. Give an archive that is not password-protected."
                    );
                limits.Add(name, entry.Length, entry.CompressedLength);
                entries.Add(new EncodedPicture(name, () => Read(entry, name)), HeadOf(entry));
            }
        }

        found.Pictures.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return found;
    }

    /// <summary>The first bytes of an entry; empty if it cannot be unpacked, which is reported when the whole entry
    /// is read.</summary>
    private static byte[] HeadOf(ZipArchiveEntry entry)
    {
        try
        {
            using var stream = entry.Open();
            return BoundedPicture.HeadOf(stream);
        }
        catch (Exception error) when (error is IOException or InvalidDataException or NotSupportedException)
        {
            return [];
        }
    }

    /// <summary>Unpacks one picture; the archive is read by one thread at a time.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="name">Name of the picture, for error messages.</param>
    private byte[] Read(ZipArchiveEntry entry, string name)
    {
        byte[] bytes;
        try
        {
            lock (gate)
            {
                using var stream = entry.Open();
                bytes = BoundedPicture.Read(stream, entry.Length, name);
            }
        }
        catch (Exception error) when (error is IOException or InvalidDataException or NotSupportedException)
        {
            throw new InvalidPictureException($"{name} cannot be unpacked: {error.Message}", error);
        }

        var sum = new Crc32();
        sum.Update(bytes);
        return (uint)sum.Value == entry.Crc32
            ? bytes
            : throw new InvalidPictureException(
                $"{name} is damaged: its checksum does not match the one in the archive"
            );
    }
}
