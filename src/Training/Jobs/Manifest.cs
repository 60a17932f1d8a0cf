// A manifest has the format of sha256sum: one line per picture, with 64 hexadecimal digits, two spaces (or a space and
// an asterisk), and the path. Its order is the order of the results. A plain list of paths is converted: each file is
// read once when the job is created, so that a picture that changes afterwards is detected. The hash of a file that
// cannot be read is all zeros.
using System.Buffers;
using System.Globalization;
using System.Text;
using TorchBridge.Inference.Pictures;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Jobs;

/// <summary>A line of a manifest.</summary>
/// <param name="Sha256">Digest of the file.</param>
/// <param name="Path">Path of the file: absolute, or relative to the manifest's root.</param>
internal readonly record struct ManifestEntry(string Sha256, string Path);

/// <summary>The pictures of a scoring job, in order.</summary>
internal sealed class Manifest
{
    /// <summary>The digest of a file that could not be read when the manifest was created.</summary>
    public static readonly string Unreadable = new('0', ContentHash.Length);

    /// <summary>Largest size of a manifest, which is held in memory.</summary>
    private const long MostBytes = 1L << 30;

    private static readonly SearchValues<byte> Digits = SearchValues.Create("0123456789abcdef"u8);
    private readonly byte[] text;
    private readonly int[] ends;

    private Manifest(byte[] text, int[] ends) => (this.text, this.ends) = (text, ends);

    /// <summary>Number of pictures.</summary>
    public int Count => ends.Length;

    /// <summary>Hash of the whole manifest.</summary>
    public string Sha256 => ContentHash.Of(text);

    /// <summary>An entry.</summary>
    public ManifestEntry this[int index]
    {
        get
        {
            var line = Encoding.UTF8.GetString(Lines(index, 1)).TrimEnd('\n');
            return new ManifestEntry(line[..ContentHash.Length], line[(ContentHash.Length + 2)..]);
        }
    }

    /// <summary>The bytes of a range of lines.</summary>
    public ReadOnlySpan<byte> Lines(int first, int count)
    {
        var start = first == 0 ? 0 : ends[first - 1];
        return text.AsSpan(start, (count == 0 ? start : ends[first + count - 1]) - start);
    }

    /// <summary>Reads a finished manifest.</summary>
    /// <exception cref="UserException">It is not a manifest.</exception>
    public static Manifest Read(string path)
    {
        var text = ReadFile(path);
        var ends = new List<int>();
        for (var start = 0; start < text.Length; )
        {
            var length = text.AsSpan(start).IndexOf((byte)'\n');
            if (length < ContentHash.Length + 3 || !IsHash(text.AsSpan(start, ContentHash.Length)))
                throw new UserException(
                    FormattableString.Invariant($"{path} is damaged: line {ends.Count + 1} is not a hash with a path.")
                );
            ends.Add(start += length + 1);
        }

        return ends.Count > 0 ? new Manifest(text, [.. ends]) : throw new UserException($"{path} names no pictures.");
    }

    /// <summary>Creates a manifest from a folder, a list of paths, or another manifest.</summary>
    /// <param name="source">The folder or the file.</param>
    /// <param name="progress">Receives the number done and the total.</param>
    /// <param name="stop">Cancels the work.</param>
    /// <returns>The manifest's bytes, and the root folder of its relative paths.</returns>
    /// <exception cref="UserException">The source does not exist, or a line is not a path.</exception>
    public static (byte[] Text, string Root) Make(string source, Action<int, int> progress, CancellationToken stop)
    {
        var isFolder = Directory.Exists(source);
        if (!isFolder && !File.Exists(source))
            throw new UserException(
                $"{source}: there is no such folder or file. Give a folder of pictures, a file with one path per "
                    + $"line, or the output of sha256sum."
            );
        var root = Path.GetFullPath(isFolder ? source : Path.GetDirectoryName(Path.GetFullPath(source))!);
        var entries = isFolder
            ? [.. PictureFiles.Find(source).Pictures.Select(picture => new ManifestEntry("", picture.Name))]
            : ReadLines(source);
        if (entries.Length == 0)
            throw new UserException($"{source} contains no pictures ({PictureNames.Endings})");
        if (entries.FirstOrDefault(entry => entry.Path.AsSpan().ContainsAny('\n', '\r')).Path is { } broken)
            throw new UserException(
                $"{broken.ReplaceLineEndings(" ")}: a path with a line break cannot be written to a manifest. "
                    + $"Rename the file."
            );
        var done = 0;
        Parallel.For(0, entries.Length, new ParallelOptions { CancellationToken = stop }, index =>
        {
            if (entries[index].Sha256.Length == 0)
                entries[index] = entries[index] with { Sha256 = HashOf(Path.Combine(root, entries[index].Path)) };
            progress(Interlocked.Increment(ref done), entries.Length);
        });
        var text = new StringBuilder();
        foreach (var entry in entries)
            text.Append(entry.Sha256).Append("  ").Append(entry.Path).Append('\n');
        return (Encoding.UTF8.GetBytes(text.ToString()), root);
    }

    private static ManifestEntry[] ReadLines(string source)
    {
        var text = Encoding.UTF8.GetString(ReadFile(source)).TrimStart('\uFEFF');
        return
        [
            .. text.Split('\n')
                .Select(line => line.TrimEnd('\r'))
                .Where(line => line.Length > 0)
                .Select(line =>
                    line.Length > ContentHash.Length + 2
                    && ContentHash.IsHash(line[..ContentHash.Length])
                    && line[ContentHash.Length] == ' '
                    && line[ContentHash.Length + 1] is ' ' or '*'
                        ? new ManifestEntry(line[..ContentHash.Length], line[(ContentHash.Length + 2)..])
                        : new ManifestEntry("", line)
                ),
        ];
    }

    private static string HashOf(string path)
    {
        try
        {
            return ContentHash.Of(BoundedPicture.ReadFile(path, path));
        }
        catch (InvalidPictureException)
        {
            return Unreadable;
        }
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            var length = new FileInfo(path).Length;
            return length <= MostBytes
                ? File.ReadAllBytes(path)
                : throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{path} has {length:N0} bytes; the limit is {MostBytes:N0}. Split it and score the "
                            + $"parts separately."
                    )
                );
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {error.Message}", error);
        }
    }

    private static bool IsHash(ReadOnlySpan<byte> digits) => !digits.ContainsAnyExcept(Digits);
}
