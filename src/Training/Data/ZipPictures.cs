using System.IO.Compression;
using ICSharpCode.SharpZipLib.Checksum;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>The pictures of a .zip: found by their names, unpacked one at a time when they are needed.</summary>
internal sealed class ZipPictures
{
    private const int UnixKind = 0xF000,
        UnixLink = 0xA000;
    private readonly ZipArchive archive;

    // The library's archive is one file with one position.
    private readonly Lock gate = new();

    private ZipPictures(ZipArchive archive) => this.archive = archive;

    /// <summary>Looks at an archive.</summary>
    /// <param name="path">The archive; it stays open as long as its pictures are asked for.</param>
    /// <exception cref="UserException">It holds more than an archive may, or a name twice.</exception>
    /// <exception cref="InvalidDataException">It is no archive.</exception>
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

    /// <summary>Goes through the archive's list of entries; nothing is unpacked.</summary>
    /// <param name="path">For errors.</param>
    /// <param name="limits">Counts what it would unpack to.</param>
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
            else if (!PictureNames.IsPicture(name))
                found.LeftOut.Add(LeftOut.Reason.NoPicture, name);
            else
            {
                if (entry.IsEncrypted)
                    throw new UserException($"--data {path}: {name} is encrypted. Give an archive without a password.");
                limits.Add(name, entry.Length, entry.CompressedLength);
                entries.Add(new EncodedPicture(name, () => Read(entry, name)));
            }
        }

        found.Pictures.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return found;
    }

    /// <summary>Unpacks one picture; the archive is read by one thread at a time.</summary>
    /// <param name="entry">Where it stands.</param>
    /// <param name="name">For errors.</param>
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
            : throw new InvalidPictureException($"{name} is damaged: its checksum is not the one in the archive");
    }
}
