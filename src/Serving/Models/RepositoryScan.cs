using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>What lies in the folder of the models.</summary>
/// <param name="Entries">The versions to serve.</param>
/// <param name="Problems">Models that cannot be served, and why.</param>
internal sealed record RepositoryScan(
    IReadOnlyList<ModelFileEntry> Entries,
    IReadOnlyDictionary<string, string> Problems
)
{
    /// <summary>
    /// Looks into the folder: NAME.onnx, and NAME/VERSION/model.onnx. Everything else is left alone.
    /// </summary>
    /// <param name="folder">The folder of the models.</param>
    /// <exception cref="ModelLoadException">The folder cannot be read.</exception>
    public static RepositoryScan Of(string folder)
    {
        var entries = new List<ModelFileEntry>();
        var problems = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*.onnx").Order(StringComparer.Ordinal))
                AddPlain(path, entries, problems);
            foreach (var path in Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal))
                AddFolder(path, entries, problems);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"the folder of the models, {folder}, cannot be read: {error.Message}", error);
        }

        return new RepositoryScan(entries, problems);
    }

    /// <summary>Adds NAME.onnx.</summary>
    /// <param name="path">A file that ends in .onnx.</param>
    /// <param name="entries">Receives what is found.</param>
    /// <param name="problems">Receives what is wrong, by model.</param>
    private static void AddPlain(string path, List<ModelFileEntry> entries, Dictionary<string, string> problems)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        if (!ModelNames.IsValid(name))
            problems[name] = $"{path}: a model's name has only letters, digits, '.', '_' and '-'";
        else if (FileStamp.Of(path) is { } stamp)
            entries.Add(new ModelFileEntry(name, null, path, null, stamp.ToString()));
    }

    /// <summary>Adds the versions of NAME/, where it has any; its configuration says which.</summary>
    /// <param name="folder">A folder of a model.</param>
    /// <param name="entries">Receives what is found.</param>
    /// <param name="problems">Receives what is wrong, by model.</param>
    private static void AddFolder(string folder, List<ModelFileEntry> entries, Dictionary<string, string> problems)
    {
        var name = Path.GetFileName(folder);
        var versions = Directory
            .EnumerateDirectories(folder)
            .Where(path => ModelNames.TryVersion(Path.GetFileName(path), out _))
            .ToArray();
        if (versions.Length == 0)
            return; // no model: pictures, reports, a staging folder
        if (!ModelNames.IsValid(name))
        {
            problems[name] = $"{folder}: a model's name has only letters, digits, '.', '_' and '-'";
            return;
        }

        if (entries.Exists(entry => entry.Model == name))
        {
            problems[name] = $"{folder}: there is a file {name}.onnx, too, and a model has one name";
            return;
        }

        try
        {
            var configPath = Path.Combine(folder, ModelConfig.FileName);
            var configStamp = FileStamp.Of(configPath);
            var config = configStamp is null ? new ModelConfig() : ModelConfig.Read(configPath);
            if (config.Name is { Length: > 0 } said && said != name)
                throw new ModelLoadException($"{configPath}: the name is '{said}', and the folder's is '{name}'");
            entries.AddRange(
                Served(versions, config)
                    .Select(version =>
                        Entry(name, version, config, configStamp is null ? null : configPath, $"{configStamp}")
                    )
                    .OfType<ModelFileEntry>()
            );
        }
        catch (ModelLoadException error)
        {
            problems[name] = error.Message;
        }
    }

    /// <summary>The versions' folders that are served, the latest first.</summary>
    /// <param name="versions">Folders named by numbers.</param>
    /// <param name="config">What its version policy says.</param>
    private static IEnumerable<string> Served(string[] versions, ModelConfig config)
    {
        static long Number(string path) => ModelNames.TryVersion(Path.GetFileName(path), out var version) ? version : 0;
        var latestFirst = versions.OrderByDescending(Number);
        if (config.Versions is { } chosen)
            return latestFirst.Where(path => chosen.Contains(Number(path)));
        return config.LatestVersions is { } count ? latestFirst.Take(count) : latestFirst;
    }

    /// <summary>A version as it lies in its folder; null where its file is not there.</summary>
    /// <param name="name">Of the model.</param>
    /// <param name="folder">Of the version; its name is the number.</param>
    /// <param name="config">What the model's folder says.</param>
    /// <param name="configPath">The file that says it; null where there is none.</param>
    /// <param name="configStamp">That file's stamp: a change of it is a change of the version.</param>
    private static ModelFileEntry? Entry(
        string name,
        string folder,
        ModelConfig config,
        string? configPath,
        string configStamp
    )
    {
        ModelNames.TryVersion(Path.GetFileName(folder), out var version);
        var path = Path.Combine(folder, config.ModelFile);
        // With tensors in other files the model is a folder of its own name.
        if (Directory.Exists(path))
            path = Path.Combine(path, config.ModelFile);
        return FileStamp.Of(path) is { } stamp
            ? new ModelFileEntry(name, version, path, configPath, $"{stamp} {configStamp}")
            : null;
    }
}
