using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>The result of scanning the models' folder.</summary>
/// <param name="Entries">The versions to serve.</param>
/// <param name="Problems">Models that cannot be served, with the reason, by name.</param>
internal sealed record RepositoryScan(
    IReadOnlyList<ModelFileEntry> Entries,
    IReadOnlyDictionary<string, string> Problems
)
{
    /// <summary>Scans the folder for NAME.onnx and NAME/VERSION/model.onnx. Everything else is ignored.</summary>
    /// <param name="folder">The models' folder.</param>
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

    /// <summary>Adds a model of the form NAME.onnx.</summary>
    /// <param name="path">A file with the extension .onnx.</param>
    /// <param name="entries">Receives the versions found.</param>
    /// <param name="problems">Receives the problems, by model.</param>
    private static void AddPlain(string path, List<ModelFileEntry> entries, Dictionary<string, string> problems)
    {
        var name = Path.GetFileNameWithoutExtension(path);
        if (!ModelNames.IsValid(name))
            problems[name] = $"{path}: a model's name may contain only letters, digits, '.', '_' and '-'";
        else if (FileStamp.Of(path) is { } stamp)
            entries.Add(new ModelFileEntry(name, null, path, null, stamp.ToString()));
    }

    /// <summary>
    /// Adds the versions in a folder NAME/, if there are any; the model's configuration selects them.
    /// </summary>
    /// <param name="folder">A folder that may belong to a model.</param>
    /// <param name="entries">Receives the versions found.</param>
    /// <param name="problems">Receives the problems, by model.</param>
    private static void AddFolder(string folder, List<ModelFileEntry> entries, Dictionary<string, string> problems)
    {
        var name = Path.GetFileName(folder);
        var versions = Directory
            .EnumerateDirectories(folder)
            .Where(path => ModelNames.TryVersion(Path.GetFileName(path), out _))
            .ToArray();
        if (versions.Length == 0)
            return; // not a model: pictures, reports, a staging folder
        if (!ModelNames.IsValid(name))
        {
            problems[name] = $"{folder}: a model's name may contain only letters, digits, '.', '_' and '-'";
            return;
        }

        if (entries.Exists(entry => entry.Model == name))
        {
            problems[name] = $"{folder}: there is also a file {name}.onnx; rename or remove one of them";
            return;
        }

        try
        {
            var configPath = Path.Combine(folder, ModelConfig.FileName);
            var configStamp = FileStamp.Of(configPath);
            var config = configStamp is null ? new ModelConfig() : ModelConfig.Read(configPath);
            if (config.Name is { Length: > 0 } said && said != name)
                throw new ModelLoadException($"{configPath}: the name is '{said}', but the folder's is '{name}'");
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

    /// <summary>The folders of the versions to serve, the latest first.</summary>
    /// <param name="versions">All folders whose names are version numbers.</param>
    /// <param name="config">The model's configuration, which may hold a version policy.</param>
    private static IEnumerable<string> Served(string[] versions, ModelConfig config)
    {
        static long Number(string path) => ModelNames.TryVersion(Path.GetFileName(path), out var version) ? version : 0;
        var latestFirst = versions.OrderByDescending(Number);
        if (config.Versions is { } chosen)
            return latestFirst.Where(path => chosen.Contains(Number(path)));
        return config.LatestVersions is { } count ? latestFirst.Take(count) : latestFirst;
    }

    /// <summary>The files of one version; null if there is no model file.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="folder">The version's folder, whose name is the version number.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="configPath">Path of the configuration; null if there is none.</param>
    /// <param name="configStamp">Stamp of the configuration; a change of it counts as a change of the
    /// version.</param>
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
        // A model with external tensors is a folder with the name of the model file.
        if (Directory.Exists(path))
            path = Path.Combine(path, config.ModelFile);
        return FileStamp.Of(path) is { } stamp
            ? new ModelFileEntry(name, version, path, configPath, $"{stamp} {configStamp}")
            : null;
    }
}
