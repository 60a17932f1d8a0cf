using System.Text;
using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>A sweep; in <c>job.json</c> of its folder: its trials, one by one.</summary>
/// <param name="Trials">What is trained.</param>
internal sealed record SweepJob(IReadOnlyList<RunRequest> Trials)
{
    /// <summary>What <c>job.json</c> says it is.</summary>
    public const string KindName = "sweep";

    /// <summary>What the job is.</summary>
    public string Kind { get; init; } = KindName;

    /// <summary>The program that computes it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;
}

/// <summary>Trains the trials of a sweep. A trial writes a checkpoint after each epoch, named by its id: whoever does it
/// next goes on from there, to the same bits.</summary>
/// <param name="folder">The job's folder.</param>
/// <param name="job">What its <c>job.json</c> says.</param>
internal sealed class SweepWork(string folder, SweepJob job) : IWork
{
    /// <summary>Its trials.</summary>
    public IReadOnlyList<RunRequest> Trials => job.Trials;

    /// <inheritdoc/>
    public int Count => job.Trials.Count;

    /// <summary>Another trial must not find what one has left in libtorch.</summary>
    public bool NeedsFreshProcess => true;

    /// <inheritdoc/>
    public WorkItem Item(int index)
    {
        var id = ContentHash.Id(JsonNode.Parse(Json.Text(job.Trials[index]))!);
        return new WorkItem(index, id, $"{id}.json");
    }

    /// <inheritdoc/>
    public ResultFacts Do(WorkItem item, Stream output, CancellationToken stop)
    {
        var checkpoint = CheckpointOf(item);
        Directory.CreateDirectory(Path.GetDirectoryName(checkpoint)!);
        // How long it took is no part of the result: that would differ each time.
        var result = AblationRun.Do(job.Trials[item.Index], stop, checkpoint) with { Seconds = 0 };
        output.Write(Encoding.UTF8.GetBytes(Json.Text(result) + "\n"));
        return new ResultFacts(1, 0);
    }

    /// <inheritdoc/>
    public void Forget(WorkItem item) => File.Delete(CheckpointOf(item));

    /// <inheritdoc/>
    public void Dispose() { }

    private string CheckpointOf(WorkItem item) => Path.Combine(folder, "work", $"{item.Id}.checkpoint.safetensors");
}
