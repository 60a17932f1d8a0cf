namespace TorchBridge.Serving.Models;

/// <summary>
/// What a model may be called. A name in a request is only ever looked up in the table of loaded models; it never
/// becomes a path.
/// </summary>
internal static class ModelNames
{
    /// <summary>Characters of the longest name.</summary>
    private const int MostCharacters = 128;

    /// <summary>
    /// Whether a file or folder name is a model's name: letters, digits, dot, underscore and hyphen, and none of the
    /// dots alone.
    /// </summary>
    /// <param name="name">A file's name without its ending, or a folder's.</param>
    public static bool IsValid(string name) =>
        name.Length is > 0 and <= MostCharacters
        && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-')
        && name.Any(letter => letter != '.');

    /// <summary>Whether a folder's name is a version: a whole number that does not begin with 0.</summary>
    /// <param name="name">A folder's name.</param>
    /// <param name="version">The number; 0 where it is none.</param>
    public static bool TryVersion(string name, out long version)
    {
        version = 0;
        return name.Length is > 0 and <= 18
            && name[0] != '0'
            && name.All(char.IsAsciiDigit)
            && long.TryParse(name, System.Globalization.CultureInfo.InvariantCulture, out version);
    }
}
