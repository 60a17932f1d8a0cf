using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>How the rows of a scoring job are written.</summary>
internal enum ResultFormat
{
    /// <summary>Text; the first shard has the heading, so that the shards one after another are one file.</summary>
    Csv,

    /// <summary>Columns; a folder of shards is one data set.</summary>
    Parquet,
}

/// <summary>A scoring job; in <c>job.json</c> of its folder.</summary>
/// <param name="ModelSha256">Digest of <c>model.onnx</c> in the folder.</param>
/// <param name="ManifestSha256">Digest of <c>manifest.txt</c> in the folder.</param>
/// <param name="Pictures">Lines of the manifest.</param>
/// <param name="Shards">Pieces that it is cut into.</param>
/// <param name="Format">How rows are written.</param>
/// <param name="Root">Folder that relative paths of the manifest are below; decides no result.</param>
internal sealed record ScoringSpecification(
    string ModelSha256,
    string ManifestSha256,
    int Pictures,
    int Shards,
    ResultFormat Format,
    string Root
)
{
    /// <summary>What <c>job.json</c> says it is.</summary>
    public const string KindName = "scoring";

    /// <summary>What the job is.</summary>
    public string Kind { get; init; } = KindName;

    /// <summary>The program that computes it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;

    /// <summary>The first picture of a shard, and how many it has: shards differ by one picture at most.</summary>
    public (int First, int Count) Slice(int shard)
    {
        var first = (int)((long)Pictures * shard / Shards);
        return (first, (int)((long)Pictures * (shard + 1) / Shards) - first);
    }
}
