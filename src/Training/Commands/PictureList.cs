using Spectre.Console;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Commands;

/// <summary>Resolves command-line arguments to picture files.</summary>
internal static class PictureList
{
    /// <summary>
    /// Lists the given files, and all pictures in the given folders, in the order of their names.
    /// </summary>
    /// <param name="console">Console for files in a folder that were left out.</param>
    /// <param name="arguments">Files and folders.</param>
    /// <returns>Paths of the pictures.</returns>
    /// <exception cref="UserException">A folder contains no pictures, or cannot be read.</exception>
    public static IReadOnlyList<string> Of(IAnsiConsole console, IEnumerable<string> arguments) =>
        [
            .. arguments.SelectMany(argument =>
            {
                if (!Directory.Exists(argument))
                    return [argument];
                var found = PictureFiles.Find(argument);
                if (found.LeftOut.Text is { } line)
                    console.WriteLine($"{argument}: {line}");
                return found.Pictures.Count > 0
                    ? found.Pictures.Select(picture => Path.Combine(argument, picture.Name))
                    : throw new UserException($"{argument} contains no pictures ({PictureNames.Endings})");
            }),
        ];
}
