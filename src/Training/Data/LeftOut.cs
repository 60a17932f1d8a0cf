using System.Globalization;

namespace TorchBridge.Training.Data;

/// <summary>What of a folder or an archive does not count, and why: said in a line, because what is missing in
/// silence is looked for long.</summary>
internal sealed class LeftOut
{
    private const int Named = 3;
    private readonly SortedDictionary<Reason, List<string>> names = [];

    /// <summary>Why something does not count.</summary>
    public enum Reason
    {
        /// <summary>Hidden, or left by a system or a program.</summary>
        Hidden,

        /// <summary>No picture by its ending.</summary>
        NoPicture,

        /// <summary>A picture in a format that Skia does not read here.</summary>
        Format,

        /// <summary>A link that leads out of the folder, or to a folder that is read anyway.</summary>
        Link,

        /// <summary>A pipe, a socket or a device.</summary>
        Special,
    }

    /// <summary>How many there are.</summary>
    public int Count => names.Values.Sum(list => list.Count);

    /// <summary>Adds one.</summary>
    /// <param name="reason">Why it does not count.</param>
    /// <param name="name">Its path below the root.</param>
    public void Add(Reason reason, string name)
    {
        if (!names.TryGetValue(reason, out var list))
            names.Add(reason, list = []);
        list.Add(name);
    }

    /// <summary>A line for people; null where nothing was left out.</summary>
    public string? Text =>
        names.Count == 0
            ? null
            : $"Left out: {string.Join("; ", names.Select(pair => Describe(pair.Key, pair.Value)))}.";

    /// <summary>A part of the line: how many, of what kind, and the first names.</summary>
    /// <param name="reason">Why they do not count.</param>
    /// <param name="list">Their names.</param>
    private static string Describe(Reason reason, List<string> list)
    {
        var one = list.Count == 1;
        var what = reason switch
        {
            Reason.Hidden => one ? "hidden file or folder" : "hidden files and folders",
            Reason.NoPicture => one ? "file that is no picture" : "files that are no pictures",
            Reason.Format => one ? "picture in a format that is not read" : "pictures in formats that are not read",
            Reason.Link => one
                ? "link that leads out of the folder or to what is read anyway"
                : "links that lead out of the folder or to what is read anyway",
            _ => one ? "pipe, socket or device" : "pipes, sockets and devices",
        };
        var shown = string.Join(", ", list.Take(Named).Select(Printable)) + (list.Count > Named ? ", …" : "");
        var advice = reason == Reason.Format ? ": convert to PNG or JPEG" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{list.Count:N0} {what} ({shown}){advice}");
    }

    /// <summary>A name as one line of text.</summary>
    /// <param name="name">A name as the system or an archive has it.</param>
    /// <returns>The name with control characters written as \uXXXX: a line's end in it would forge lines of
    /// output.</returns>
    public static string Printable(string name) =>
        string.Concat(name.Select(letter => char.IsControl(letter) ? $"\\u{(int)letter:x4}" : letter.ToString()));
}
