using System.Collections.Immutable;

namespace TorchBridge.Serving.Models;

/// <summary>A model and its loaded versions. Immutable; changes replace it as a whole.</summary>
/// <param name="Name">The model's name.</param>
/// <param name="Versions">The loaded versions by number.</param>
/// <param name="Problem">Why a version of the model is not served; null if there is no problem.</param>
internal sealed record ServedModel(string Name, ImmutableSortedDictionary<long, ModelVersion> Versions, string? Problem)
{
    /// <summary>A model with no version loaded yet.</summary>
    /// <param name="name">The model's name.</param>
    public static ServedModel Empty(string name) =>
        new(name, ImmutableSortedDictionary<long, ModelVersion>.Empty, "it is being loaded");

    /// <summary>Whether at least one version is loaded.</summary>
    public bool IsReady => !Versions.IsEmpty;

    /// <summary>The version that is used if a request names none; null if none is loaded.</summary>
    public ModelVersion? Latest => Versions.IsEmpty ? null : Versions[Versions.Keys.Last()];
}
