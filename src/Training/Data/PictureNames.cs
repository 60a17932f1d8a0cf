// The rule for what counts in a folder or an archive:
//   hidden      names that start with a dot (.git, .DS_Store, .ipynb_checkpoints, ._ files of macOS), and system files
//   picture     extensions that Skia reads everywhere, and names without an extension whose first bytes are a picture's
//   uncertain   pictures that only some builds of Skia read, by extension or, whatever that is, by their first bytes:
//               they count if Skia reads them
//   other       everything else
using SkiaSharp;
using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Data;

/// <summary>Which files count as pictures of a data set.</summary>
internal static class PictureNames
{
    private static readonly HashSet<string> Readable = new(
        [.. PictureReader.Extensions, ".jfif", ".jpe", ".jif", ".gif", ".dib"],
        StringComparer.OrdinalIgnoreCase
    );
    private static readonly HashSet<string> Uncertain = new(
        [
            .. (string[])[".apng", ".arw", ".avif", ".cr2", ".dng", ".exr", ".hdr", ".heic", ".heif", ".ico", ".j2k"],
            .. (string[])[".jp2", ".jxl", ".nef", ".pbm", ".pcx", ".pgm", ".png8", ".pnm", ".ppm", ".psd", ".svg"],
            .. (string[])[".tga", ".tif", ".tiff", ".wbmp"],
        ],
        StringComparer.OrdinalIgnoreCase
    );
    private static readonly HashSet<string> SystemNames = new(
        [
            "__MACOSX",
            "__pycache__",
            "@eaDir",
            "#recycle",
            "$RECYCLE.BIN",
            "System Volume Information",
            "lost+found",
            "Thumbs.db",
            "ehthumbs.db",
            "desktop.ini",
            "Icon\r",
        ],
        StringComparer.OrdinalIgnoreCase
    );

    /// <summary>The extensions that are read everywhere, for messages.</summary>
    public static string Endings => string.Join(", ", Readable.Order(StringComparer.Ordinal));

    /// <summary>Whether a file or folder is hidden or a system file.</summary>
    /// <param name="name">Its name, without a path.</param>
    public static bool IsHidden(string name) => name.StartsWith('.') || SystemNames.Contains(name);

    /// <summary>Whether a path has a hidden part.</summary>
    /// <param name="path">With forward slashes.</param>
    public static bool HasHiddenPart(string path) => path.Split('/').Any(IsHidden);

    /// <summary>Number of first bytes that identify the format of a file.</summary>
    public const int HeadBytes = 16;

    /// <summary>Whether a file may be a picture by its name: by its extension, or because it has none.</summary>
    public static bool MayBePicture(string path) => IsPicture(path) || Path.GetExtension(path).Length == 0;

    /// <summary>Whether a file is a picture by its extension, although it may not be readable.</summary>
    /// <param name="path">A path, or a name.</param>
    public static bool IsPicture(string path) =>
        Readable.Contains(Path.GetExtension(path)) || Uncertain.Contains(Path.GetExtension(path));

    /// <summary>Why a file that may be a picture does not count; null if it does.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="head">Its first bytes.</param>
    /// <param name="whole">Reads the whole file.</param>
    public static LeftOut.Reason? WhyNot(string path, ReadOnlySpan<byte> head, Func<byte[]> whole)
    {
        if (Uncertain.Contains(Path.GetExtension(path)) || IsOfOtherFormat(head))
            return CanRead(whole()) ? null : LeftOut.Reason.Format;
        // A file that has a picture's name but is not a picture is an error, which is reported when it is read.
        return IsPicture(path) || IsOfKnownFormat(head) ? null : LeftOut.Reason.NoPicture;
    }

    /// <summary>JPEG, PNG, GIF, WebP.</summary>
    private static bool IsOfKnownFormat(ReadOnlySpan<byte> head) =>
        head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
        || head.StartsWith((ReadOnlySpan<byte>)[0x89, .. "PNG"u8])
        || head.StartsWith("GIF8"u8)
        || (head.StartsWith("RIFF"u8) && head.Length >= 12 && head[8..12].SequenceEqual("WEBP"u8));

    /// <summary>TIFF and camera raw formats based on it; AVIF and HEIC; JPEG XL; JPEG 2000; Photoshop; OpenEXR;
    /// Radiance.</summary>
    private static bool IsOfOtherFormat(ReadOnlySpan<byte> head) =>
        head.StartsWith("II*\0"u8)
        || head.StartsWith("MM\0*"u8)
        || (head.Length >= 8 && head[4..8].SequenceEqual("ftyp"u8))
        || head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0x0A])
        || (head.Length >= 8 && (head[4..8].SequenceEqual("JXL "u8) || head[4..8].SequenceEqual("jP  "u8)))
        || head.StartsWith("8BPS"u8)
        || head.StartsWith((ReadOnlySpan<byte>)[0x76, 0x2F, 0x31, 0x01])
        || head.StartsWith("#?RADIANCE"u8);

    /// <summary>Whether this build of Skia reads an encoded picture.</summary>
    private static bool CanRead(byte[] encoded)
    {
        using var data = SKData.CreateCopy(encoded);
        using var codec = SKCodec.Create(data);
        return codec is not null;
    }

    /// <summary>The names of files with the same picture, the first few if there are many.</summary>
    /// <param name="names">Their names.</param>
    /// <returns>Such as <c>a.png = b.png = c.png = d.png = 8 more</c>, without control characters.</returns>
    public static string Same(IReadOnlyList<string> names)
    {
        const int shown = 4;
        var text = string.Join(" = ", names.Take(shown).Select(LeftOut.Printable));
        return names.Count > shown ? FormattableString.Invariant($"{text} = {names.Count - shown:N0} more") : text;
    }
}
