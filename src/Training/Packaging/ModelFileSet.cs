using TorchBridge.Onnx.Files;

namespace TorchBridge.Training.Packaging;

/// <summary>The files of a model or a report, which replace those of the one before together.</summary>
internal static class ModelFileSet
{
    /// <summary>Makes files in a folder of their own, and then puts all of them where they belong; or none, where
    /// making them fails.</summary>
    /// <param name="folder">Where they belong.</param>
    /// <param name="replaced">Names of files of the model before that go where no new one is made.</param>
    /// <param name="make">Makes them, under their names in the folder that it is given. Sub-folders are thrown
    /// away.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static T Publish<T>(ModelFolder folder, IEnumerable<string> replaced, Func<ModelFolder, T> make)
    {
        using var set = Guarded(folder, () => FileSet.Stage(folder.Path));
        var staged = folder with { Path = set.Folder };
        var result = make(staged);
        Guarded(folder, () =>
        {
            // The model last: who watches it finds the others there.
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

    /// <summary>The same for files that are no model's.</summary>
    /// <param name="folder">Where they belong; it is there.</param>
    /// <param name="make">Makes them in the folder that it is given.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Publish(string folder, Action<string> make) => Publish(new ModelFolder(folder), [], staged =>
        {
            make(staged.Path);
            return true;
        });

    /// <summary>Makes a folder inside a staged one for files that are needed on the way.</summary>
    /// <param name="staged">The folder in which the files are made; it goes with all that is in it.</param>
    /// <returns>The path of the new folder.</returns>
    public static string Scratch(ModelFolder staged) =>
        Directory.CreateDirectory(Path.Combine(staged.Path, "scratch")).FullName;

    /// <summary>Turns errors of the disk into one sentence for people.</summary>
    /// <param name="folder">Named in it.</param>
    /// <param name="work">Writes files.</param>
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
