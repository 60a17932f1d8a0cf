// When has a model's file changed? Its content says so, not its time: a copy may keep length and time of the file
// that it replaces. Reading all of a large file every second is too much, so most looks take the length and the time
// of the file behind all links (Kubernetes swaps a link in the middle of the path), and the content is hashed as
// often as that costs little.
using System.Security.Cryptography;

namespace TorchBridge.Inference.Hosting;

/// <summary>The file of a model that may be replaced.</summary>
/// <param name="path">Its path; it may lead through links.</param>
/// <param name="clock">Tells when the content is due.</param>
internal sealed class ModelFile(string path, TimeProvider clock)
{
    /// <summary>Bytes hashed a second on average: a hundredth of what a core hashes.</summary>
    private const double HashedBytesASecond = 20e6;

    /// <summary>The file when it was last looked at.</summary>
    private Stamp seen;

    /// <summary>Hash of what it held then.</summary>
    private byte[] content = [];

    /// <summary>Hash of what was last loaded.</summary>
    private byte[] taken = [];

    /// <summary>When the content was last hashed, whatever the stamp says.</summary>
    private long hashedAt;

    /// <summary>Whether what was read last is what is in use, by content.</summary>
    public bool IsTaken => content.AsSpan().SequenceEqual(taken);

    /// <summary>Notes that what was read last is in use now.</summary>
    public void Take() => taken = content;

    /// <summary>
    /// Reads the file's bytes. Stamped and hashed before: what changes while it is read is seen the next time.
    /// </summary>
    /// <returns>The model's bytes, data files included.</returns>
    /// <exception cref="FileNotFoundException">It is not there.</exception>
    /// <exception cref="InvalidDataException">Its data file cannot be used.</exception>
    public byte[] Read()
    {
        seen = Stamp.Of(path);
        content = Hash();
        return SessionSettings.ReadModel(path);
    }

    /// <summary>Whether the file is another one than was read last.</summary>
    /// <exception cref="IOException">It cannot be read now.</exception>
    public bool HasChanged()
    {
        var now = Stamp.Of(path);
        if (now == seen && clock.GetElapsedTime(hashedAt).TotalSeconds < now.Length / HashedBytesASecond)
            return false;
        var hash = Hash();
        var isSame = hash.AsSpan().SequenceEqual(content);
        if (isSame)
            seen = now;
        return !isSame;
    }

    /// <summary>SHA-256 of the content, and when it was taken.</summary>
    private byte[] Hash()
    {
        hashedAt = clock.GetTimestamp();
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return SHA256.HashData(stream);
    }

    /// <summary>What can be told of a file without reading it.</summary>
    private readonly record struct Stamp(string Target, DateTime Written, long Length)
    {
        /// <summary>Looks at the file behind all links.</summary>
        /// <param name="path">The file, links followed.</param>
        public static Stamp Of(string path)
        {
            var info = new FileInfo(path);
            if (info.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target)
                info = target;
            return info.Exists
                ? new Stamp(info.FullName, info.LastWriteTimeUtc, info.Length)
                : throw new FileNotFoundException($"There is no model at {path}", path);
        }
    }
}
