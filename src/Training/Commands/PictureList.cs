using Spectre.Console;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Commands;

/// <summary>The pictures that arguments name.</summary>
internal static class PictureList
{
    /// <summary>
    /// Files as they are, folders with everything in them that is a picture, in the order of their names.
    /// </summary>
    /// <param name="console">Where it is told what a folder left out.</param>
    /// <param name="arguments">Files and folders.</param>
    /// <returns>Paths, folders in the order of their names.</returns>
    /// <exception cref="UserException">A folder holds none, or cannot be read.</exception>
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
                    : throw new UserException($"{argument} holds no pictures ({PictureNames.Endings})");
            }),
        ];
}
