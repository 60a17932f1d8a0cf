using System.Globalization;

namespace TorchBridge.Training.Data;

/// <summary>Files of a folder or archive that do not count, and why. They are reported in a line, because files that
/// are skipped silently are hard to find.</summary>
internal sealed class LeftOut
{
    private const int Named = 3;
    private readonly SortedDictionary<Reason, List<string>> names = [];

    /// <summary>Why a file does not count.</summary>
    public enum Reason
    {
        /// <summary>Hidden, or a system file.</summary>
        Hidden,

        /// <summary>Not a picture by its extension.</summary>
        NoPicture,

        /// <summary>A picture in a format that Skia does not read here.</summary>
        Format,

        /// <summary>A link that leads out of the folder, or to a folder that is read already.</summary>
        Link,

        /// <summary>A pipe, a socket or a device.</summary>
        Special,
    }

    /// <summary>Number of files.</summary>
    public int Count => names.Values.Sum(list => list.Count);

    /// <summary>Adds a file.</summary>
    /// <param name="reason">Why it does not count.</param>
    /// <param name="name">Its path below the root.</param>
    public void Add(Reason reason, string name)
    {
        if (!names.TryGetValue(reason, out var list))
            names.Add(reason, list = []);
        list.Add(name);
    }

    /// <summary>A line for the user; null if nothing was left out.</summary>
    public string? Text =>
        names.Count == 0
            ? null
            : $"Left out: {string.Join("; ", names.Select(pair => Describe(pair.Key, pair.Value)))}.";

    /// <summary>A part of the line: number, kind and first names.</summary>
    /// <param name="reason">Why they do not count.</param>
    /// <param name="list">Their names.</param>
    private static string Describe(Reason reason, List<string> list)
    {
        var one = list.Count == 1;
        var what = reason switch
        {
            Reason.Hidden => one ? "hidden file or folder" : "hidden files and folders",
            Reason.NoPicture => one ? "file that is not a picture" : "files that are not pictures",
            Reason.Format => one ? "picture in an unsupported format" : "pictures in unsupported formats",
            Reason.Link => one
                ? "link that leads out of the folder or to files that are read already"
                : "links that lead out of the folder or to files that are read already",
            _ => one ? "pipe, socket or device" : "pipes, sockets and devices",
        };
        var shown = string.Join(", ", list.Take(Named).Select(Printable)) + (list.Count > Named ? ", …" : "");
        var advice = reason == Reason.Format ? ": convert to PNG or JPEG" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{list.Count:N0} {what} ({shown}){advice}");
    }

    /// <summary>A name as one line of text.</summary>
    /// <param name="name">A name from the file system or an archive.</param>
    /// <returns>The name with control characters written as \uXXXX, because a line break in it could forge lines of
    /// output.</returns>
    public static string Printable(string name) =>
        string.Concat(name.Select(letter => char.IsControl(letter) ? $"\\u{(int)letter:x4}" : letter.ToString()));
}
