using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Packaging;

/// <summary>Publishes the files of a model or report, which replace the previous ones together.</summary>
internal static class ModelFileSet
{
    /// <summary>Creates files in a staging folder, then moves all of them to their destination; none if creating them
    /// fails.</summary>
    /// <param name="folder">Destination folder.</param>
    /// <param name="replaced">Names of files of the previous model that are deleted if no new ones are
    /// created.</param>
    /// <param name="make">Creates the files, under their final names, in the folder it is given. Subfolders are
    /// discarded.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static T Publish<T>(ModelFolder folder, IEnumerable<string> replaced, Func<ModelFolder, T> make)
    {
        using var set = Guarded(folder, () => FileSet.Stage(folder.Path));
        var staged = folder with { Path = set.Folder };
        var result = make(staged);
        Guarded(folder, () =>
        {
            // The model comes last, so that whoever watches it finds the other files in place.
            var files = Directory
                .EnumerateFiles(set.Folder)
                .Order(StringComparer.Ordinal)
                .OrderBy(file => file == staged.Onnx)
                .Select(file => Path.GetFileName(file))
                .ToArray();
            set.Publish(files, replaced.Except(files, StringComparer.Ordinal));
            return true;
        });
        return result;
    }

    /// <summary>The same for files that do not belong to a model.</summary>
    /// <param name="folder">Destination folder, which must exist.</param>
    /// <param name="make">Creates the files in the folder it is given.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Publish(string folder, Action<string> make) => Publish(new ModelFolder(folder), [], staged =>
        {
            make(staged.Path);
            return true;
        });

    /// <summary>Creates a folder for temporary files inside a staging folder.</summary>
    /// <param name="staged">The staging folder, which is deleted with its contents.</param>
    /// <returns>The path of the new folder.</returns>
    public static string Scratch(ModelFolder staged) =>
        Directory.CreateDirectory(Path.Combine(staged.Path, "scratch")).FullName;

    /// <summary>Converts disk errors to a message for the user.</summary>
    /// <param name="folder">The folder, for the message.</param>
    /// <param name="work">Writes the files.</param>
    private static T Guarded<T>(ModelFolder folder, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"The files in {folder.Path} cannot be written: {error.Message}", error);
        }
    }
}
