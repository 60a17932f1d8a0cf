// One rule for what counts in a folder or an archive, by names alone:
//   hidden      what begins with a dot (.git, .DS_Store, .ipynb_checkpoints, ._ files of a Mac), and what systems leave
//   picture     endings that Skia reads everywhere
//   uncertain   endings of pictures that Skia reads in some builds only: their first bytes decide
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

    /// <summary>The endings that are read everywhere, for messages.</summary>
    public static string Endings => string.Join(", ", Readable.Order(StringComparer.Ordinal));

    /// <summary>Whether a file or folder is hidden, or left by a system or a program.</summary>
    /// <param name="name">Its name, without a path.</param>
    public static bool IsHidden(string name) => name.StartsWith('.') || SystemNames.Contains(name);

    /// <summary>Whether a path has a hidden part.</summary>
    /// <param name="path">With forward slashes.</param>
    public static bool HasHiddenPart(string path) => path.Split('/').Any(IsHidden);

    /// <summary>Whether a file is a picture by its ending, though perhaps one that cannot be read.</summary>
    /// <param name="path">A path, or a name.</param>
    public static bool IsPicture(string path) =>
        Readable.Contains(Path.GetExtension(path)) || Uncertain.Contains(Path.GetExtension(path));

    /// <summary>Whether only the content says that a picture can be read.</summary>
    /// <param name="path">A path, or a name.</param>
    public static bool IsUncertain(string path) => Uncertain.Contains(Path.GetExtension(path));

    /// <summary>Whether Skia reads an encoded picture here.</summary>
    /// <param name="encoded">The file's bytes; the header alone is looked at.</param>
    public static bool CanRead(byte[] encoded)
    {
        using var data = SKData.CreateCopy(encoded);
        using var codec = SKCodec.Create(data);
        return codec is not null;
    }
}
