namespace TorchBridge.Serving.Models;

/// <summary>
/// Rules for the names and versions of models. A name in a request is only looked up in the table of loaded models
/// and never becomes part of a path.
/// </summary>
internal static class ModelNames
{
    /// <summary>Maximum length of a name, in characters.</summary>
    private const int MostCharacters = 128;

    /// <summary>
    /// Whether a name is allowed for a model: letters, digits, dots, underscores and hyphens, and not only dots.
    /// </summary>
    /// <param name="name">The name of a file without its extension, or of a folder.</param>
    public static bool IsValid(string name) =>
        name.Length is > 0 and <= MostCharacters
        && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-')
        && name.Any(letter => letter != '.');

    /// <summary>Whether a text is a version number: an integer that does not begin with 0.</summary>
    /// <param name="name">The name of a folder, or the version in a request.</param>
    /// <param name="version">The version number; 0 if there is none.</param>
    public static bool TryVersion(string name, out long version)
    {
        version = 0;
        return name.Length is > 0 and <= 18
            && name[0] != '0'
            && name.All(char.IsAsciiDigit)
            && long.TryParse(name, System.Globalization.CultureInfo.InvariantCulture, out version);
    }
}
