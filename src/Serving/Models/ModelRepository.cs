// Keeps the table of loaded models in step with the folder. A change takes effect only when two scans in a row have
// seen the same files, so that a file that is still being written is not loaded. A new version is loaded, checked and
// warmed up before it replaces the old one; if it is faulty, the old one stays.
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Loads, replaces and retires models when the folder changes. Not thread-safe.</summary>
internal sealed partial class ModelRepository(
    string folder,
    ModelLoader loader,
    ModelRegistry registry,
    ILogger<ModelRepository> log
)
{
    /// <summary>
    /// Stamp of the files from which each served version was loaded; a different stamp means a change.
    /// </summary>
    private readonly Dictionary<(string Model, long Version), string> loadedStamps = [];

    /// <summary>
    /// Files that could not be loaded, with their stamp and the error; they are tried again when the stamp changes.
    /// </summary>
    private readonly Dictionary<string, (string Stamp, string Problem)> failures = new(StringComparer.Ordinal);

    /// <summary>Problems that were logged already, so that each is logged once and not at every scan.</summary>
    private readonly HashSet<string> loggedProblems = new(StringComparer.Ordinal);

    /// <summary>Current version number of each model that is a plain file, whose versions are counted here.</summary>
    private readonly Dictionary<string, long> plainVersions = new(StringComparer.Ordinal);

    /// <summary>
    /// Stamps of the files at the last scan; a file that has changed since then is left for the next scan.
    /// </summary>
    private Dictionary<string, string> lastLook = new(StringComparer.Ordinal);

    /// <summary>Models that were missing at the last scan; they are retired if they are missing again.</summary>
    private HashSet<string> missing = new(StringComparer.Ordinal);

    /// <summary>
    /// Whether no scan has been made yet: at startup, files are loaded at once instead of at the second scan.
    /// </summary>
    private bool isFirstLook = true;

    /// <summary>The last problem of the folder itself, so that it is logged once.</summary>
    private string? folderProblem;

    /// <summary>Scans the folder and applies the changes.</summary>
    public void Look()
    {
        RepositoryScan scan;
        try
        {
            scan = RepositoryScan.Of(folder);
            folderProblem = null;
        }
        catch (ModelLoadException error)
        {
            // If the folder cannot be read for a moment, nothing is unloaded.
            if (folderProblem != error.Message)
                LogFolder(error.Message);
            folderProblem = error.Message;
            return;
        }

        var models = scan
            .Entries.Select(entry => entry.Model)
            .Concat(scan.Problems.Keys.Where(ModelNames.IsValid))
            .ToHashSet(StringComparer.Ordinal);
        if (isFirstLook)
            foreach (var model in models)
                registry.Change(model, before => before);
        foreach (var (_, problem) in scan.Problems)
            LogOnce(problem);
        var entries = scan.Entries.ToLookup(entry => entry.Model, StringComparer.Ordinal);
        foreach (var model in models)
            Update(model, [.. entries[model]], scan.Problems.GetValueOrDefault(model));
        Remove(models);
        lastLook = scan.Entries.ToDictionary(entry => entry.Path, entry => entry.Stamp, StringComparer.Ordinal);
        isFirstLook = false;
        registry.IsFirstLoadDone = true;
    }

    /// <summary>Loads the new or changed versions of one model, and retires versions that were removed.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="entries">The versions found by this scan.</param>
    /// <param name="problem">What is wrong with the model's folder; null if nothing is.</param>
    private void Update(string model, ModelFileEntry[] entries, string? problem)
    {
        var wanted = new HashSet<long>();
        foreach (var entry in entries)
        {
            var version = entry.Version ?? plainVersions.GetValueOrDefault(model, 1);
            var isLoaded = loadedStamps.TryGetValue((model, version), out var stamp);
            if (stamp != entry.Stamp && IsSettled(entry))
            {
                // Each content of a plain file gets a version number, so that a reply names the version that computed
                // it.
                var next = entry.Version is null && isLoaded ? version + 1 : version;
                if (TryLoad(entry, next, ref problem))
                    version = next;
            }

            wanted.Add(version);
        }

        // Versions that were removed from the folder are retired only when all remaining ones are loaded.
        if (registry.Find(model) is { } now && entries.Length > 0 && wanted.All(now.Versions.ContainsKey))
            Retire(model, now.Versions.Keys.Where(version => !wanted.Contains(version)));
        registry.Change(model, before => before with { Problem = problem ?? (before.IsReady ? null : before.Problem) });
    }

    /// <summary>Whether a file is unchanged since the last scan, that is, not being written.</summary>
    /// <param name="entry">A version's file.</param>
    private bool IsSettled(ModelFileEntry entry) =>
        isFirstLook || lastLook.GetValueOrDefault(entry.Path) == entry.Stamp;

    /// <summary>
    /// Loads one version; a failure is remembered with the file's stamp and not repeated at every scan.
    /// </summary>
    /// <param name="entry">A version's file.</param>
    /// <param name="version">The version number.</param>
    /// <param name="problem">Receives the error if the version cannot be loaded.</param>
    private bool TryLoad(ModelFileEntry entry, long version, ref string? problem)
    {
        if (failures.TryGetValue(entry.Path, out var failure) && failure.Stamp == entry.Stamp)
        {
            problem = failure.Problem; // unchanged since it failed
            return false;
        }

        try
        {
            var loaded = loader.Load(entry, version);
            failures.Remove(entry.Path);
            loadedStamps[(entry.Model, version)] = entry.Stamp;
            if (entry.Version is null)
                plainVersions[entry.Model] = version;
            // This replaces a version of the same number; Update retires other old versions.
            registry.Change(entry.Model, before => before with { Versions = before.Versions.SetItem(version, loaded) });
            LogLoaded(entry.Model, version, loaded.Settings.MaxRows, loaded.Identity.Digest);
            return true;
        }
        catch (ModelLoadException error)
        {
            problem = error.Message;
            failures[entry.Path] = (entry.Stamp, error.Message);
            LogRefused(
                error.Message,
                registry.Find(entry.Model)?.IsReady == true
                    ? "the version loaded before stays in use"
                    : "it is not served"
            );
            return false;
        }
    }

    /// <summary>Logs a problem the first time that it occurs.</summary>
    /// <param name="problem">What is wrong.</param>
    private void LogOnce(string problem)
    {
        if (loggedProblems.Add(problem))
            LogRefused(problem, "what was loaded before stays in use");
    }

    /// <summary>Removes versions from the table; requests that use them are still completed.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="versions">The versions to remove.</param>
    private void Retire(string model, IEnumerable<long> versions)
    {
        long[] gone = [.. versions];
        if (gone.Length == 0)
            return;
        foreach (var version in gone)
            loadedStamps.Remove((model, version));
        registry.Change(model, before => before with { Versions = before.Versions.RemoveRange(gone) });
        foreach (var version in gone)
            LogRetired(model, version);
    }

    /// <summary>Removes models that two scans in a row have not found.</summary>
    /// <param name="models">The models that this scan has found.</param>
    private void Remove(HashSet<string> models)
    {
        var gone = registry
            .Models.Select(model => model.Name)
            .Where(name => !models.Contains(name))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in gone.Where(missing.Contains))
        {
            Retire(name, registry.Find(name)!.Versions.Keys);
            registry.Change(name, _ => null);
        }

        missing = gone;
    }

    /// <summary>Logs that a version is served.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="version">The version number.</param>
    /// <param name="maxRows">Maximum number of rows in a batch.</param>
    /// <param name="digest">Hash of the file, which identifies its content in the log.</param>
    [LoggerMessage(
        LogLevel.Information,
        "{Model} version {Version} is ready, in batches of up to {MaxRows} (sha256 {Digest}…)"
    )]
    private partial void LogLoaded(string model, long version, int maxRows, string digest);

    /// <summary>Logs that a version was retired.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="version">The version number.</param>
    [LoggerMessage(LogLevel.Information, "{Model} version {Version} is retired and takes no more requests")]
    private partial void LogRetired(string model, long version);

    /// <summary>Logs that a model cannot be loaded, and what is served instead.</summary>
    /// <param name="problem">Why the model cannot be loaded.</param>
    /// <param name="consequence">What is served instead.</param>
    [LoggerMessage(LogLevel.Error, "{Problem}; {Consequence}")]
    private partial void LogRefused(string problem, string consequence);

    /// <summary>Logs that the folder itself cannot be read.</summary>
    /// <param name="problem">What is wrong with the folder.</param>
    [LoggerMessage(LogLevel.Error, "{Problem}")]
    private partial void LogFolder(string problem);
}
