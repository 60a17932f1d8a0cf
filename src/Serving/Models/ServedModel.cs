using System.Collections.Immutable;

namespace TorchBridge.Serving.Models;

/// <summary>
/// A model with the versions that serve it. It is replaced as a whole, never changed.
/// </summary>
/// <param name="Name">Its name.</param>
/// <param name="Versions">Loaded versions by number.</param>
/// <param name="Problem">Why something of it is not served; null where all is well.</param>
internal sealed record ServedModel(string Name, ImmutableSortedDictionary<long, ModelVersion> Versions, string? Problem)
{
    /// <summary>A model of which nothing is loaded yet.</summary>
    /// <param name="name">The model's name.</param>
    public static ServedModel Empty(string name) =>
        new(name, ImmutableSortedDictionary<long, ModelVersion>.Empty, "it is being loaded");

    /// <summary>Whether it answers.</summary>
    public bool IsReady => !Versions.IsEmpty;

    /// <summary>The version that answers where none is named; null where there is none.</summary>
    public ModelVersion? Latest => Versions.IsEmpty ? null : Versions[Versions.Keys.Last()];
}
