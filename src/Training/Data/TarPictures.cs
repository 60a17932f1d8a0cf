// Why there is an intermediate file: a .tar.gz can only be read from beginning to end, and its pictures may not fit in
// memory. They are unpacked once, one after another, into one file that is deleted with the process.
using System.Formats.Tar;
using System.IO.Compression;
using Microsoft.Win32.SafeHandles;
using TorchBridge.Inference.Pictures;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Data;

/// <summary>The pictures of a .tar.gz.</summary>
internal sealed class TarPictures
{
    private readonly SafeFileHandle unpacked = TemporaryFolder.OpenFile();
    private long length;

    private TarPictures() { }

    /// <summary>Unpacks an archive.</summary>
    /// <param name="path">The archive, a tar packed with gzip.</param>
    /// <returns>The pictures; their bytes are read from the unpacked file, which is deleted with the
    /// process.</returns>
    /// <exception cref="UserException">The archive exceeds the limits, or the disk is full.</exception>
    /// <exception cref="InvalidDataException">It is not an archive, or is damaged.</exception>
    public static FoundPictures Find(string path)
    {
        var tar = new TarPictures();
        try
        {
            return tar.Unpack(path);
        }
        catch
        {
            tar.unpacked.Dispose();
            throw;
        }
    }

    /// <summary>Reads the archive once.</summary>
    /// <param name="path">The archive.</param>
    private FoundPictures Unpack(string path)
    {
        var found = new FoundPictures([], new(StringComparer.Ordinal), new());
        var entries = new ArchiveEntries(path, found);
        using var file = File.OpenRead(path);
        using var stream = new GZipStream(file, CompressionMode.Decompress);
        using (var archive = new TarReader(stream, leaveOpen: true))
        {
            var limits = new ArchiveLimits(path, file.Length);
            while (TarEntries.Next(archive) is { } entry)
            {
                // Every entry has to be unpacked to get past it, so every entry counts.
                limits.Add(entry.Name, entry.Length, null);
                // Not a file: attributes that `git archive` declares for all following entries.
                if (entry.EntryType == TarEntryType.GlobalExtendedAttributes)
                    continue;
                if (entries.Name(entry.Name, out var name, out var isFolder))
                    continue;
                if (isFolder || entry.EntryType == TarEntryType.Directory)
                    found.Folders.Add(name);
                else if (entry.EntryType is TarEntryType.SymbolicLink or TarEntryType.HardLink)
                    found.LeftOut.Add(LeftOut.Reason.Link, name);
                else if (
                    entry.EntryType is TarEntryType.Fifo or TarEntryType.CharacterDevice or TarEntryType.BlockDevice
                )
                    found.LeftOut.Add(LeftOut.Reason.Special, name);
                else if (!PictureNames.MayBePicture(name))
                    found.LeftOut.Add(LeftOut.Reason.NoPicture, name);
                else
                    Keep(entry, name, entries);
            }
        }

        // The checksum is at the very end.
        stream.CopyTo(Stream.Null);
        found.Pictures.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return found;
    }

    private void Keep(TarEntry entry, string name, ArchiveEntries entries)
    {
        var bytes = entry.DataStream is null ? [] : BoundedPicture.Read(entry.DataStream, entry.Length, name);
        entries.Add(
            Place(name, Append(bytes), bytes.Length),
            bytes.AsSpan(0, Math.Min(bytes.Length, PictureNames.HeadBytes))
        );
    }

    private long Append(byte[] bytes)
    {
        var start = length;
        TemporaryFolder.Guarded(() => RandomAccess.Write(unpacked, bytes, start));
        length += bytes.Length;
        return start;
    }

    /// <summary>A separate method, so that the closure for reading later does not capture the bytes of the
    /// entry.</summary>
    private EncodedPicture Place(string name, long start, int count) => new(name, () => Read(start, count, name));

    private byte[] Read(long start, int count, string name)
    {
        var bytes = new byte[count];
        for (var read = 0; read < count; )
        {
            var more = RandomAccess.Read(unpacked, bytes.AsSpan(read), start + read);
            if (more == 0)
                throw new InvalidPictureException($"{name} cannot be read: the unpacked file has been truncated");
            read += more;
        }

        return bytes;
    }
}
