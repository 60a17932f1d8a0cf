using System.Collections.Immutable;
using System.Globalization;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Models;

/// <summary>
/// The table of loaded models, and the only place where a request's model name is looked up. Readers need no lock,
/// because each change replaces the whole table.
/// </summary>
internal sealed class ModelRegistry
{
    /// <summary>Serializes changes to the table.</summary>
    private readonly Lock gate = new();

    /// <summary>The immutable table, which is replaced as a whole.</summary>
    private ImmutableSortedDictionary<string, ServedModel> table = ImmutableSortedDictionary.Create<
        string,
        ServedModel
    >(StringComparer.Ordinal);

    /// <summary>All models, by name.</summary>
    public IEnumerable<ServedModel> Models => Volatile.Read(ref table).Values;

    /// <summary>Whether the folder has been scanned once and loading of all its models has been attempted.</summary>
    public bool IsFirstLoadDone { get; set; }

    /// <summary>Whether the first load is done, there is at least one model, and every model is ready.</summary>
    public bool IsReady =>
        IsFirstLoadDone && Volatile.Read(ref table) is { IsEmpty: false } all && all.Values.All(model => model.IsReady);

    /// <summary>Acquires a model version for a request.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="version">The version; null or empty for the latest.</param>
    /// <returns>A lease of the version; disposing it releases the version.</returns>
    /// <exception cref="RequestRefusedException">There is no such model or version, or it is not ready.</exception>
    public ModelLease Acquire(string name, string? version)
    {
        while (true)
        {
            var found = Find(name, version);
            // If the version has just been retired, the table already has its successor.
            if (found.TryAcquire())
                return new ModelLease(found);
        }
    }

    /// <summary>The model of a given name; null if there is none.</summary>
    /// <param name="name">The model's name.</param>
    public ServedModel? Find(string name) => Volatile.Read(ref table).TryGetValue(name, out var model) ? model : null;

    /// <summary>Replaces the state of a model. Versions that are not part of the new state are retired.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="change">Computes the new state from the old one; a result of null removes the model.</param>
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

    /// <summary>Retires all versions, and waits until their memory has been freed.</summary>
    public async Task CloseAsync()
    {
        var versions = Models.SelectMany(model => model.Versions.Values).ToArray();
        foreach (var model in Models.ToArray())
            Change(model.Name, _ => null);
        await Task.WhenAll(versions.Select(version => version.Closed)).ConfigureAwait(false);
    }

    /// <summary>The version with a given number, or the latest one if no number is given.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="version">The version in the request; null or empty for the latest.</param>
    /// <exception cref="RequestRefusedException">There is no such model or version, or the model is not
    /// ready.</exception>
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
                    $"model '{name}' has no such version; available are {string.Join(", ", model.Versions.Keys)}"
                )
            );
    }
}
