using TorchBridge.Inference.Pictures;

namespace TorchBridge.Training.Commands;

/// <summary>The pictures that arguments name.</summary>
internal static class PictureList
{
    /// <summary>Files as they are, folders with everything in them that is a picture, in the order of their
    /// names.</summary>
    /// <exception cref="UserException">A folder holds none.</exception>
    public static IReadOnlyList<string> Of(IEnumerable<string> arguments) =>
        [
            .. arguments.SelectMany(argument =>
            {
                if (!Directory.Exists(argument))
                    return [argument];
                var found = Directory
                    .EnumerateFiles(argument, "*", SearchOption.AllDirectories)
                    .Where(PictureReader.IsPicture)
                    .Order(StringComparer.Ordinal)
                    .ToArray();
                return found.Length > 0
                    ? found
                    : throw new UserException(
                        $"{argument} holds no pictures ({string.Join(", ", PictureReader.Extensions)})"
                    );
            }),
        ];
}
