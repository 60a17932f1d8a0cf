using System.Globalization;

namespace TorchBridge.Training.Data;

/// <summary>What an archive may unpack to: a few bytes can say that they are a terabyte.</summary>
/// <param name="archive">Its path, for errors.</param>
/// <param name="packedBytes">Its size.</param>
internal sealed class ArchiveLimits(string archive, long packedBytes)
{
    /// <summary>Bytes that all entries together may have.</summary>
    public const long MostInAll = 1L << 38;

    /// <summary>How many times larger than packed an entry, or everything, may be. Photos do not get smaller; drawings
    /// do by a factor of ten or twenty.</summary>
    public const int MostRatio = 200;

    /// <summary>Up to so many bytes the ratio does not matter.</summary>
    public const long Small = 1 << 24;

    private long total;

    /// <summary>Counts an entry, before it is unpacked.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="length">Its size.</param>
    /// <param name="packed">Its size in the archive; null where it has none of its own.</param>
    /// <exception cref="UserException">It is too large.</exception>
    public void Add(string name, long length, long? packed)
    {
        if (length is < 0 or > BoundedPicture.Largest)
            throw Refused($"{name} has {Bytes(length)}; an entry may have up to {Bytes(BoundedPicture.Largest)}");
        if (length > Small && packed is { } size && length / MostRatio > size)
            throw Refused($"{name} unpacks from {Bytes(size)} to {Bytes(length)}, more than {MostRatio} times as many");
        total += length;
        if (total > MostInAll)
            throw Refused($"its pictures have more than {Bytes(MostInAll)} in all");
        if (total > Small && total / MostRatio > packedBytes)
            throw Refused($"it unpacks from {Bytes(packedBytes)} to more than {MostRatio} times as many");
    }

    /// <summary>The refusal, with the archive's name and the way out.</summary>
    /// <param name="what">What is too large.</param>
    private UserException Refused(string what) =>
        new(
            $"--data {archive}: {LeftOut.Printable(what)}. Such an archive is no set of pictures; unpack it yourself where it is."
        );

    /// <summary>A size for people.</summary>
    /// <param name="count">Bytes.</param>
    private static string Bytes(long count) => string.Create(CultureInfo.InvariantCulture, $"{count:N0} bytes");
}
