using System.Globalization;
using System.Text.Json.Nodes;
using TorchBridge.Inference;
using TorchBridge.Inference.Pictures;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Publishing;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Jobs;

/// <summary>Scores the shards of a manifest. An item is a shard; its rows depend only on its lines and the model: one
/// thread, with batches that start at the shard's first picture.</summary>
internal sealed class ScoringWork : IWork
{
    private const int Batch = 32;
    private const int LongestError = 300;
    private readonly string folder;
    private readonly Manifest manifest;
    private ImageClassifier? classifier;

    /// <summary>Opens a job.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="specification">The specification from its <c>job.json</c>.</param>
    /// <exception cref="UserException">The folder does not match the specification.</exception>
    public ScoringWork(string folder, ScoringSpecification specification)
    {
        (this.folder, Specification) = (folder, specification);
        manifest = Manifest.Read(JobFolder.ManifestOf(folder));
        if (manifest.Sha256 != specification.ManifestSha256 || manifest.Count != specification.Pictures)
            throw new UserException(
                $"{JobFolder.ManifestOf(folder)} is not the manifest with which the job was created. Create the "
                    + $"job again in another folder."
            );
    }

    /// <summary>Specification of the job.</summary>
    public ScoringSpecification Specification { get; }

    /// <inheritdoc/>
    public int Count => Specification.Shards;

    /// <inheritdoc/>
    public WorkItem Item(int index)
    {
        var (first, count) = Specification.Slice(index);
        var id = ContentHash.Id(
            new JsonObject
            {
                ["kind"] = ScoringSpecification.KindName,
                ["program"] = Specification.Program,
                ["model"] = Specification.ModelSha256,
                ["format"] = Naming.Of(Specification.Format),
                ["first"] = first,
                ["lines"] = ContentHash.Of(manifest.Lines(first, count)),
            }
        );
        // As many digits as the last shard needs, so that the order of the names is the order of the manifest.
        var digits = Math.Max(5, (Count - 1).ToString(CultureInfo.InvariantCulture).Length);
        string Padded(int number) => number.ToString(CultureInfo.InvariantCulture).PadLeft(digits, '0');
        return new WorkItem(
            index,
            id,
            $"shard-{Padded(index)}-of-{Padded(Count)}.{ShardFile.EndingOf(Specification.Format)}"
        );
    }

    /// <inheritdoc/>
    public ResultFacts Do(WorkItem item, Stream output, CancellationToken stop)
    {
        classifier ??= Load();
        var (first, count) = Specification.Slice(item.Index);
        var rows = new ScoredRow[count];
        var stride = 3 * classifier.Width * classifier.Height;
        var planes = new byte[Batch * stride];
        var waiting = new List<int>();
        for (var row = 0; row < count; row++)
        {
            stop.ThrowIfCancellationRequested();
            var entry = manifest[first + row];
            rows[row] = new ScoredRow(first + row, entry.Path, entry.Sha256, null, null, null);
            if (Read(entry, planes.AsSpan(waiting.Count * stride, stride)) is { } error)
                rows[row] = rows[row] with { Error = error };
            else
                waiting.Add(row);
            if (waiting.Count == Batch || row == count - 1)
                Score(waiting, planes.AsSpan(0, waiting.Count * stride), rows);
        }

        ShardFile.Write(Specification.Format, item.Index == 0, rows, output);
        return new ResultFacts(count, rows.Count(row => row.Error is not null));
    }

    /// <summary>Compares a shard's rows with the manifest's lines.</summary>
    public string? Problem(WorkItem item, string file, Receipt receipt)
    {
        var (first, count) = Specification.Slice(item.Index);
        return ShardFile.Problem(
            Specification.Format,
            item.Index == 0,
            file,
            [.. Enumerable.Range(first, count).Select(index => ((long)index, manifest[index]))]
        );
    }

    /// <inheritdoc/>
    public void Dispose() => classifier?.Dispose();

    /// <summary>Reads a picture; returns what is wrong with it, or null.</summary>
    private string? Read(ManifestEntry entry, Span<byte> planes)
    {
        if (entry.Sha256 == Manifest.Unreadable)
            return "it could not be read when the manifest was created";
        try
        {
            var encoded = BoundedPicture.ReadFile(Path.Combine(Specification.Root, entry.Path), entry.Path);
            if (ContentHash.Of(encoded) != entry.Sha256)
                return "it has changed since the manifest was created";
            PictureReader.Read(
                encoded,
                entry.Path,
                classifier!.Width,
                classifier.Height,
                planes,
                classifier.Card.Reading
            );
            return null;
        }
        catch (InvalidPictureException error)
        {
            var line = error.Message.ReplaceLineEndings(" ");
            return line.Length > LongestError ? $"{line[..LongestError]}…" : line;
        }
    }

    private void Score(List<int> waiting, ReadOnlySpan<byte> planes, ScoredRow[] rows)
    {
        var predictions = classifier!.ClassifyPlanes(planes, waiting.Count);
        for (var i = 0; i < waiting.Count; i++)
        {
            var prediction = predictions[i];
            rows[waiting[i]] = float.IsFinite(prediction.Probabilities.Max())
                ? rows[waiting[i]] with
                {
                    Label = prediction.Label,
                    Probability = prediction.Probabilities.Max(),
                }
                : rows[waiting[i]] with
                {
                    Error = "the network's output is not finite",
                };
        }

        waiting.Clear();
    }

    private ImageClassifier Load()
    {
        var path = JobFolder.ModelOf(folder);
        if (ContentHash.OfFile(path) != Specification.ModelSha256)
            throw new UserException(
                $"{path} is not the model with which the job was created. Restore it, or "
                    + $"create the job again in another folder."
            );
        return ImageClassifier.Load(path, new SessionSettings { Threads = 1 });
    }
}
