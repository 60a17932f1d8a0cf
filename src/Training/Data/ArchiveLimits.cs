using System.Globalization;

namespace TorchBridge.Training.Data;

/// <summary>Limits for the unpacked size of an archive, because a few bytes can claim to unpack to a
/// terabyte.</summary>
/// <param name="archive">Path of the archive, for error messages.</param>
/// <param name="packedBytes">Size of the archive in bytes.</param>
internal sealed class ArchiveLimits(string archive, long packedBytes)
{
    /// <summary>Largest total size of all entries in bytes.</summary>
    public const long MostInAll = 1L << 38;

    /// <summary>Largest compression ratio of an entry and of the whole archive. Photos hardly compress; drawings do
    /// by a factor of ten or twenty.</summary>
    public const int MostRatio = 200;

    /// <summary>Size in bytes up to which the ratio is not checked.</summary>
    public const long Small = 1 << 24;

    private long total;

    /// <summary>Counts an entry, before it is unpacked.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="length">Its size.</param>
    /// <param name="packed">Its compressed size; null if the archive format does not record it.</param>
    /// <exception cref="UserException">It is too large.</exception>
    public void Add(string name, long length, long? packed)
    {
        if (length is < 0 or > BoundedPicture.Largest)
            throw Refused($"{name} has {Bytes(length)}; the limit per entry is {Bytes(BoundedPicture.Largest)}");
        if (length > Small && packed is { } size && length / MostRatio > size)
            throw Refused(
                $"{name} unpacks from {Bytes(size)} to {Bytes(length)}, more than {MostRatio} times "
                    + "its compressed size"
            );
        total += length;
        if (total > MostInAll)
            throw Refused($"its pictures have more than {Bytes(MostInAll)} in total");
        if (total > Small && total / MostRatio > packedBytes)
            throw Refused($"it unpacks from {Bytes(packedBytes)} to more than {MostRatio} times that size");
    }

    /// <summary>Creates the exception, with the archive's name and the remedy.</summary>
    /// <param name="what">What is too large.</param>
    private UserException Refused(string what) =>
        new(
            $"--data {archive}: {LeftOut.Printable(what)}. That is not plausible for pictures. If the archive is "
                + "valid, unpack it yourself and give the folder."
        );

    /// <summary>Formats a size.</summary>
    /// <param name="count">Number of bytes.</param>
    private static string Bytes(long count) => string.Create(CultureInfo.InvariantCulture, $"{count:N0} bytes");
}
