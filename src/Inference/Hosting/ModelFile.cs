// Detects changes of a model's file by its content, not its time: a copy may keep the length and time of the file
// that it replaces. Reading all of a large file every second would be too expensive, so most checks only compare the
// length and time of the file behind all links (Kubernetes swaps a link in the middle of the path), and the content
// is hashed only as often as that is cheap.
using System.Security.Cryptography;

namespace TorchBridge.Inference.Hosting;

/// <summary>A model's file, which may be replaced at any time.</summary>
/// <param name="path">Path of the file, possibly through links.</param>
/// <param name="clock">Time provider that determines when the content is hashed again.</param>
internal sealed class ModelFile(string path, TimeProvider clock)
{
    /// <summary>Average number of bytes hashed per second: one percent of what a core can hash.</summary>
    private const double HashedBytesASecond = 20e6;

    /// <summary>The file's properties at the last check.</summary>
    private Stamp seen;

    /// <summary>Hash of the content at that time.</summary>
    private byte[] content = [];

    /// <summary>Hash of the content that is in use.</summary>
    private byte[] taken = [];

    /// <summary>When the content was last hashed.</summary>
    private long hashedAt;

    /// <summary>Whether the content read last is the one in use.</summary>
    public bool IsTaken => content.AsSpan().SequenceEqual(taken);

    /// <summary>Records that the content read last is now in use.</summary>
    public void Take() => taken = content;

    /// <summary>
    /// Reads the file's bytes. The properties and the hash are taken before, so a change during reading is detected
    /// next time.
    /// </summary>
    /// <returns>The model's bytes, including external data.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">Its external data file cannot be used.</exception>
    public byte[] Read()
    {
        seen = Stamp.Of(path);
        content = Hash();
        return SessionSettings.ReadModel(path);
    }

    /// <summary>Whether the file has changed since it was last read.</summary>
    /// <exception cref="IOException">The file cannot be read now.</exception>
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

    /// <summary>Hashes the content with SHA-256 and records the time.</summary>
    private byte[] Hash()
    {
        hashedAt = clock.GetTimestamp();
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return SHA256.HashData(stream);
    }

    /// <summary>Properties of a file that are known without reading it.</summary>
    private readonly record struct Stamp(string Target, DateTime Written, long Length)
    {
        /// <summary>Gets the properties of the file behind all links.</summary>
        /// <param name="path">Path of the file; links are followed.</param>
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
