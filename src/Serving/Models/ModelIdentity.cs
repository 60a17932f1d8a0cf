using TorchBridge.Inference;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Models;

/// <summary>Describes a loaded model version; it never changes while the version is loaded.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Version">The version number, at least 1.</param>
/// <param name="Digest">First half of the file's SHA-256, in hexadecimal digits.</param>
/// <param name="IsBatched">Whether axis 0 is the batch axis, so that requests may run together.</param>
/// <param name="WhyAlone">Why requests do not run together in batches; null if they do.</param>
/// <param name="Labels">Names of the classes, by name of the output.</param>
internal sealed record ModelIdentity(
    string Model,
    long Version,
    string Digest,
    bool IsBatched,
    string? WhyAlone,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Labels
)
{
    /// <summary>The description inside a TorchBridge classifier; null for any other model.</summary>
    public ModelCard? Card { get; init; }

    /// <summary>The self-check pictures inside a TorchBridge classifier; null if there are none.</summary>
    public SelfCheckPictures? Pictures { get; init; }

    /// <summary>How long a request may take; null if only the server's own limit applies.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The version number as text, as the protocol requires.</summary>
    public string VersionText => Version.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
