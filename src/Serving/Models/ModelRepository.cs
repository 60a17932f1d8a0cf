// What it does: brings the table of loaded models to what lies in the folder. A change is acted on when two looks in
// a row have seen the same, so that a file that is being written is not loaded by halves. The new version is loaded,
// checked and warm before it takes the old one's place; where it is broken, the old one stays.
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Keeps the loaded models in step with the folder. Of one thread at a time.</summary>
internal sealed partial class ModelRepository(
    string folder,
    ModelLoader loader,
    ModelRegistry registry,
    ILogger<ModelRepository> log
)
{
    /// <summary>Stamp of the files that each served version was loaded from: another stamp is a change.</summary>
    private readonly Dictionary<(string Model, long Version), string> loadedStamps = [];

    /// <summary>
    /// What was wrong with files that did not load, with their stamp: they are tried again when it changes.
    /// </summary>
    private readonly Dictionary<string, (string Stamp, string Problem)> failures = new(StringComparer.Ordinal);

    /// <summary>Problems of the folder that were logged, so that each is said once and not at every look.</summary>
    private readonly HashSet<string> told = new(StringComparer.Ordinal);

    /// <summary>Last version number of each model that is a plain file: its versions are counted here.</summary>
    private readonly Dictionary<string, long> plainVersions = new(StringComparer.Ordinal);

    /// <summary>
    /// Stamps of the files at the last look: a file that still changes is left for the next one.
    /// </summary>
    private Dictionary<string, string> lastLook = new(StringComparer.Ordinal);

    /// <summary>
    /// Models that were not there at the last look; a second time they are retired.
    /// </summary>
    private HashSet<string> missing = new(StringComparer.Ordinal);

    /// <summary>At the start nobody is still copying: files are taken as they are.</summary>
    private bool isFirstLook = true;

    /// <summary>What was last said of the folder itself, so that it is said once.</summary>
    private string? folderProblem;

    /// <summary>Looks into the folder, and acts on what has changed.</summary>
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
            // A folder that is away for a moment unloads nothing.
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

    /// <summary>Loads what is new or changed of one model, and retires versions that have gone.</summary>
    /// <param name="model">Its name.</param>
    /// <param name="entries">Its versions as they are now.</param>
    /// <param name="problem">What is wrong with its folder; null for nothing.</param>
    private void Update(string model, ModelFileEntry[] entries, string? problem)
    {
        var wanted = new HashSet<long>();
        foreach (var entry in entries)
        {
            var version = entry.Version ?? plainVersions.GetValueOrDefault(model, 1);
            var isLoaded = loadedStamps.TryGetValue((model, version), out var stamp);
            if (stamp != entry.Stamp && IsSettled(entry))
            {
                // A plain file's versions are counted, so that a reply names what computed it.
                var next = entry.Version is null && isLoaded ? version + 1 : version;
                if (TryLoad(entry, next, ref problem))
                    version = next;
            }

            wanted.Add(version);
        }

        // A version that has gone from the folder goes when those that are wanted answer.
        if (registry.Find(model) is { } now && entries.Length > 0 && wanted.All(now.Versions.ContainsKey))
            Retire(model, now.Versions.Keys.Where(version => !wanted.Contains(version)));
        registry.Change(model, before => before with { Problem = problem ?? (before.IsReady ? null : before.Problem) });
    }

    /// <summary>Whether a file is as it was at the last look: it is not being written.</summary>
    /// <param name="entry">A version's file.</param>
    private bool IsSettled(ModelFileEntry entry) =>
        isFirstLook || lastLook.GetValueOrDefault(entry.Path) == entry.Stamp;

    /// <summary>Loads one file; a failure is remembered by the file's stamp, and not repeated every second.</summary>
    /// <param name="entry">A version's file.</param>
    /// <param name="version">Its number.</param>
    /// <param name="problem">Receives why it cannot be loaded.</param>
    private bool TryLoad(ModelFileEntry entry, long version, ref string? problem)
    {
        if (failures.TryGetValue(entry.Path, out var failure) && failure.Stamp == entry.Stamp)
        {
            problem = failure.Problem; // as it was: it is not tried again
            return false;
        }

        try
        {
            var loaded = loader.Load(entry, version);
            failures.Remove(entry.Path);
            loadedStamps[(entry.Model, version)] = entry.Stamp;
            if (entry.Version is null)
                plainVersions[entry.Model] = version;
            // The old version of the same number goes now, in one step; others when all that are wanted answer.
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
                    ? "the version that was loaded before goes on serving"
                    : "it is not served"
            );
            return false;
        }
    }

    /// <summary>Logs a problem of the folder the first time that it is seen.</summary>
    /// <param name="problem">What is wrong.</param>
    private void LogOnce(string problem)
    {
        if (told.Add(problem))
            LogRefused(problem, "what was loaded before goes on serving");
    }

    /// <summary>Takes versions out of the table; requests that have them finish.</summary>
    /// <param name="model">Its name.</param>
    /// <param name="versions">Those that are not there any more.</param>
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

    /// <summary>Removes models that two looks in a row have not found.</summary>
    /// <param name="models">Those whose folders are not there any more.</param>
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

    /// <summary>Says that a version is served.</summary>
    /// <param name="model">Its name.</param>
    /// <param name="version">Its number.</param>
    /// <param name="maxRows">Rows that one run takes.</param>
    /// <param name="digest">Of the file, so that logs tell one content from another.</param>
    [LoggerMessage(
        LogLevel.Information,
        "{Model} version {Version} answers, in batches of up to {MaxRows} (sha256 {Digest}…)"
    )]
    private partial void LogLoaded(string model, long version, int maxRows, string digest);

    /// <summary>A version takes no more requests.</summary>
    /// <param name="model">Its name.</param>
    /// <param name="version">Its number.</param>
    [LoggerMessage(LogLevel.Information, "{Model} version {Version} takes no more requests")]
    private partial void LogRetired(string model, long version);

    /// <summary>A file is not taken, and what that means for who asks.</summary>
    /// <param name="problem">Why it is not served.</param>
    /// <param name="consequence">What is served in its place.</param>
    [LoggerMessage(LogLevel.Error, "{Problem}; {Consequence}")]
    private partial void LogRefused(string problem, string consequence);

    /// <summary>The folder itself cannot be read.</summary>
    /// <param name="problem">What is wrong with the folder.</param>
    [LoggerMessage(LogLevel.Error, "{Problem}")]
    private partial void LogFolder(string problem);
}
