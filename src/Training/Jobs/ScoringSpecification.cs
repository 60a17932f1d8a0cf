using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>The file format of a scoring job's results.</summary>
internal enum ResultFormat
{
    /// <summary>Text; only the first shard has the header line, so that the concatenated shards are one
    /// file.</summary>
    Csv,

    /// <summary>Columnar; a folder of shards is one data set.</summary>
    Parquet,
}

/// <summary>The specification of a scoring job, stored in <c>job.json</c>.</summary>
/// <param name="ModelSha256">Digest of <c>model.onnx</c> in the folder.</param>
/// <param name="ManifestSha256">Digest of <c>manifest.txt</c> in the folder.</param>
/// <param name="Pictures">Number of lines of the manifest.</param>
/// <param name="Shards">Number of shards.</param>
/// <param name="Format">File format of the results.</param>
/// <param name="Root">Root folder of the manifest's relative paths; does not affect results.</param>
internal sealed record ScoringSpecification(
    string ModelSha256,
    string ManifestSha256,
    int Pictures,
    int Shards,
    ResultFormat Format,
    string Root
)
{
    /// <summary>The kind in <c>job.json</c>.</summary>
    public const string KindName = "scoring";

    /// <summary>Kind of the job.</summary>
    public string Kind { get; init; } = KindName;

    /// <summary>The program version that computes it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;

    /// <summary>The first picture of a shard and its number of pictures; shard sizes differ by at most one.</summary>
    public (int First, int Count) Slice(int shard)
    {
        var first = (int)((long)Pictures * shard / Shards);
        return (first, (int)((long)Pictures * (shard + 1) / Shards) - first);
    }
}
