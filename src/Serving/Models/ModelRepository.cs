// What it does: brings the table of loaded models to what lies in the folder. A change is acted on when two looks in a row have seen the same, so that a
// file that is being written is not loaded by halves. The new version is loaded, checked and warm before it takes the old one's place; where it is broken,
// the old one stays.
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Keeps the loaded models in step with the folder.</summary>
internal sealed partial class ModelRepository(string folder, ModelLoader loader, ModelRegistry registry, ILogger<ModelRepository> log)
{
    private readonly Dictionary<(string Model, long Version), string> loadedStamps = [];
    private readonly Dictionary<string, string> failedStamps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> plainVersions = new(StringComparer.Ordinal);
    private Dictionary<string, string> lastLook = new(StringComparer.Ordinal);
    private HashSet<string> missing = new(StringComparer.Ordinal);
    private bool isFirstLook = true;
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
            if (folderProblem != error.Message) LogFolder(error.Message);
            folderProblem = error.Message;
            return;
        }

        var models = scan.Entries.Select(entry => entry.Model).Concat(scan.Problems.Keys.Where(ModelNames.IsValid)).ToHashSet(StringComparer.Ordinal);
        if (isFirstLook) foreach (var model in models) registry.Change(model, before => before);
        foreach (var (model, problem) in scan.Problems) Report(model, problem);
        foreach (var group in scan.Entries.GroupBy(entry => entry.Model, StringComparer.Ordinal)) Update(group.Key, [.. group]);
        Remove(models);
        lastLook = scan.Entries.ToDictionary(entry => entry.Path, entry => entry.Stamp, StringComparer.Ordinal);
        isFirstLook = false;
        registry.IsFirstLoadDone = true;
    }

    private void Update(string model, ModelFileEntry[] entries)
    {
        string? problem = null;
        var wanted = new HashSet<long>();
        foreach (var entry in entries)
        {
            var version = entry.Version ?? plainVersions.GetValueOrDefault(model, 1);
            var isLoaded = loadedStamps.TryGetValue((model, version), out var stamp);
            wanted.Add(version);
            if (stamp == entry.Stamp) continue;
            if (failedStamps.GetValueOrDefault(entry.Path) == entry.Stamp)
            {
                problem = registry.Find(model)?.Problem;
                continue;
            }

            if (!isFirstLook && lastLook.GetValueOrDefault(entry.Path) != entry.Stamp) continue; // still being written, perhaps
            // A plain file's versions are counted, so that a reply names what computed it.
            var next = entry.Version is null && isLoaded ? version + 1 : version;
            if (TryLoad(entry, next) is not { } loaded)
            {
                problem = registry.Find(model)?.Problem;
                continue;
            }

            if (entry.Version is null) plainVersions[model] = next;
            wanted.Remove(version);
            wanted.Add(next);
            loadedStamps[(model, next)] = entry.Stamp;
            failedStamps.Remove(entry.Path);
            // The version of the same number goes at once; others when all that are wanted are there.
            registry.Change(model, before => before with { Versions = before.Versions.SetItem(next, loaded), Problem = null });
            LogLoaded(model, next, loaded.Settings.MaxRows, loaded.Identity.Digest);
        }

        // A version that has gone from the folder goes when the ones that are wanted answer.
        var now = registry.Find(model);
        if (now is not null && wanted.All(now.Versions.ContainsKey)) Retire(model, now.Versions.Keys.Where(version => !wanted.Contains(version)));
        if (problem is not null) registry.Change(model, before => before with { Problem = problem });
    }

    private ModelVersion? TryLoad(ModelFileEntry entry, long version)
    {
        try
        {
            return loader.Load(entry, version);
        }
        catch (ModelLoadException error)
        {
            failedStamps[entry.Path] = entry.Stamp;
            Report(entry.Model, error.Message);
            return null;
        }
    }

    private void Report(string model, string problem)
    {
        if (registry.Find(model)?.Problem == problem) return;
        if (ModelNames.IsValid(model)) registry.Change(model, before => before with { Problem = problem });
        LogRefused(problem, registry.Find(model)?.IsReady == true ? "the version that was loaded before goes on serving" : "it is not served");
    }

    private void Retire(string model, IEnumerable<long> versions)
    {
        long[] gone = [.. versions];
        if (gone.Length == 0) return;
        foreach (var version in gone) loadedStamps.Remove((model, version));
        registry.Change(model, before => before with { Versions = before.Versions.RemoveRange(gone) });
        foreach (var version in gone) LogRetired(model, version);
    }

    private void Remove(HashSet<string> models)
    {
        var gone = registry.Models.Select(model => model.Name).Where(name => !models.Contains(name)).ToHashSet(StringComparer.Ordinal);
        foreach (var name in gone.Where(missing.Contains))
        {
            Retire(name, registry.Find(name)!.Versions.Keys);
            registry.Change(name, _ => null);
        }

        missing = gone;
    }

    [LoggerMessage(LogLevel.Information, "{Model} version {Version} answers, in batches of up to {MaxRows} (sha256 {Digest}…)")]
    private partial void LogLoaded(string model, long version, int maxRows, string digest);

    [LoggerMessage(LogLevel.Information, "{Model} version {Version} takes no more requests")]
    private partial void LogRetired(string model, long version);

    [LoggerMessage(LogLevel.Error, "{Problem}; {Consequence}")]
    private partial void LogRefused(string problem, string consequence);

    [LoggerMessage(LogLevel.Error, "{Problem}")]
    private partial void LogFolder(string problem);
}
