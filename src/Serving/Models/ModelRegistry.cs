using System.Collections.Immutable;
using System.Globalization;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>
/// The table of loaded models, and the only place where a request's model name is looked up. Readers take no lock:
/// each change puts a new table in place of the old one.
/// </summary>
internal sealed class ModelRegistry
{
    /// <summary>Held by whoever changes the table, one at a time; readers do without.</summary>
    private readonly Lock gate = new();

    /// <summary>What is served, replaced as a whole: a request reads it without a lock.</summary>
    private ImmutableSortedDictionary<string, ServedModel> table = ImmutableSortedDictionary.Create<
        string,
        ServedModel
    >(StringComparer.Ordinal);

    /// <summary>All models, by name.</summary>
    public IEnumerable<ServedModel> Models => Volatile.Read(ref table).Values;

    /// <summary>Whether the folder has been looked at, and all models in it.</summary>
    public bool IsFirstLoadDone { get; set; }

    /// <summary>Whether every model answers, and there is one.</summary>
    public bool IsReady =>
        IsFirstLoadDone && Volatile.Read(ref table) is { IsEmpty: false } all && all.Values.All(model => model.IsReady);

    /// <summary>Keeps a version for a request.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="version">Its version; empty for the latest.</param>
    /// <returns>The version; disposing of it gives it back.</returns>
    /// <exception cref="RequestRefusedException">There is no such model or version, or it is not ready.</exception>
    public ModelLease Acquire(string name, string? version)
    {
        while (true)
        {
            var found = Find(name, version);
            // Replaced at this very moment: the table has the next one.
            if (found.TryAcquire())
                return new ModelLease(found);
        }
    }

    /// <summary>The model of a name; null where there is none.</summary>
    /// <param name="name">The model's name.</param>
    public ServedModel? Find(string name) => Volatile.Read(ref table).TryGetValue(name, out var model) ? model : null;

    /// <summary>Puts a new state of a model in the place of the old one. Versions that are not in it any more are
    /// retired.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="change">Makes the new state of the old one; null removes the model.</param>
    public void Change(string name, Func<ServedModel, ServedModel?> change)
    {
        ServedModel before,
            after;
        lock (gate)
        {
            before = Find(name) ?? ServedModel.Empty(name);
            var kept = change(before);
            table = kept is null ? table.Remove(name) : table.SetItem(name, kept);
            after = kept ?? ServedModel.Empty(name);
        }

        foreach (var version in before.Versions.Values.Except(after.Versions.Values))
            version.Release();
    }

    /// <summary>Retires all versions, and waits until their memory is free.</summary>
    public async Task CloseAsync()
    {
        var versions = Models.SelectMany(model => model.Versions.Values).ToArray();
        foreach (var model in Models.ToArray())
            Change(model.Name, _ => null);
        await Task.WhenAll(versions.Select(version => version.Closed)).ConfigureAwait(false);
    }

    /// <summary>The version of a name and number; the latest where no number is given.</summary>
    /// <param name="name">The model.</param>
    /// <param name="version">As the request has it; null or empty for the newest.</param>
    /// <exception cref="RequestRefusedException">There is none.</exception>
    private ModelVersion Find(string name, string? version)
    {
        var model = Find(name)
            ?? throw new RequestRefusedException(
                RefusalKind.NotFound,
                ModelNames.IsValid(name) ? $"there is no model '{name}'" : "there is no model of this name"
            );
        if (model.Latest is not { } latest)
            throw new RequestRefusedException(RefusalKind.Unavailable, $"model '{name}' is not ready");
        if (string.IsNullOrEmpty(version))
            return latest;
        return ModelNames.TryVersion(version, out var number) && model.Versions.TryGetValue(number, out var found)
            ? found
            : throw new RequestRefusedException(
                RefusalKind.NotFound,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"model '{name}' has no such version; there is {string.Join(", ", model.Versions.Keys)}"
                )
            );
    }
}
