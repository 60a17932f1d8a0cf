using TorchBridge.Inference;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>What a loaded version is. It does not change as long as the version lives.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">Its version, 1 and up.</param>
/// <param name="Digest">Hash of its file, hexadecimal.</param>
/// <param name="IsBatched">Whether axis 0 is a batch.</param>
/// <param name="WhyAlone">Why its requests do not run together; null where they do.</param>
/// <param name="Labels">Names of the classes by output.</param>
internal sealed record ModelIdentity(
    string Model,
    long Version,
    string Digest,
    bool IsBatched,
    string? WhyAlone,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Labels
)
{
    /// <summary>What a classifier of ours says of itself; null for any other model.</summary>
    public ModelCard? Card { get; init; }

    /// <summary>The pictures that a classifier of ours carries.</summary>
    public SelfCheckPictures? Pictures { get; init; }

    /// <summary>How long a request may wait; null where the server's own limit holds.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The version as the protocol writes it.</summary>
    public string VersionText => Version.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
