using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Scale.Contract;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>The specification of a sweep, stored in <c>job.json</c>: the list of its trials.</summary>
/// <param name="Trials">The trials.</param>
internal sealed record SweepJob(IReadOnlyList<RunRequest> Trials)
{
    /// <summary>The kind in <c>job.json</c>.</summary>
    public const string KindName = "sweep";

    /// <summary>Kind of the job.</summary>
    public string Kind { get; init; } = KindName;

    /// <summary>The program version that computes it, with its commit.</summary>
    public string Program { get; init; } = Versions.Program;

    /// <summary>How bad settings end early; null if every trial is completed.</summary>
    public Halving? Halving { get; init; }
}

/// <summary>
/// Trains the trials of a sweep. A trial writes a checkpoint after each epoch, named by its id, from which another
/// worker can continue with bit-identical results. With halving, an item is a trial up to a rung, with the highest
/// rungs first, so that trials that may continue are done before new ones are started. The result of an item that was
/// not trained because its setting ended early says so.
/// </summary>
internal sealed class SweepWork : IWork
{
    private readonly string folder;
    private readonly SweepJob job;
    private readonly int[] rungs;
    private readonly Lazy<IReadOnlyList<IReadOnlyList<int>>> settings;
    private readonly Lazy<int[]> settingOf;
    private readonly Lazy<string> all;

    /// <summary>Opens a sweep.</summary>
    /// <param name="folder">The job's folder.</param>
    /// <param name="job">The specification from its <c>job.json</c>.</param>
    /// <exception cref="UserException">It has no trials.</exception>
    public SweepWork(string folder, SweepJob job)
    {
        if (job.Trials is not { Count: > 0 })
            throw new UserException($"{JobFolder.JobOf(folder)} is not a sweep: it has no trials.");
        (this.folder, this.job) = (folder, job);
        rungs = job.Halving is { } halving ? [.. halving.Rungs(job.Trials[0].Configuration.Training.Epochs)] : [0];
        // Created on demand, because a child process that trains one trial does not need them.
        settings = new(() => SettingsOf(job));
        settingOf = new(() =>
        {
            var numbers = new int[job.Trials.Count];
            foreach (var (number, trials) in Settings.Index())
            foreach (var trial in trials)
                numbers[trial] = number;
            return numbers;
        });
        all = new(() => ContentHash.Of(string.Join('\n', job.Trials.Select(trial => ContentHash.Id(NodeOf(trial))))));
    }

    /// <summary>The trials.</summary>
    public IReadOnlyList<RunRequest> Trials => job.Trials;

    /// <summary>How bad settings end early; null if none does.</summary>
    public Halving? Halving => job.Halving;

    /// <summary>The epochs of each rung; a single 0 without halving.</summary>
    public IReadOnlyList<int> Rungs => rungs;

    /// <summary>The trials of each setting, one per seed.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Settings => settings.Value;

    /// <inheritdoc/>
    public int Count => job.Trials.Count * rungs.Length;

    /// <summary>Number of items that wait for others: all above the first rung.</summary>
    public int Held => job.Trials.Count * (rungs.Length - 1);

    /// <summary>A trial must not be affected by the state that another one left in libtorch.</summary>
    public bool NeedsFreshProcess => true;

    /// <summary>The item of a trial up to a rung.</summary>
    public int IndexOf(int trial, int rung) => ((rungs.Length - 1 - rung) * job.Trials.Count) + trial;

    /// <summary>The trial of an item, and its rung.</summary>
    public (int Trial, int Rung) PlaceOf(int index) =>
        (index % job.Trials.Count, rungs.Length - 1 - (index / job.Trials.Count));

    /// <inheritdoc/>
    public WorkItem Item(int index)
    {
        var (trial, rung) = PlaceOf(index);
        var node = NodeOf(job.Trials[trial]);
        var id = ContentHash.Id(node);
        if (job.Halving is not { } halving)
            return new WorkItem(index, id, $"{id}.json");
        var what = new JsonObject { ["trial"] = id, ["epochs"] = rungs[rung] };
        // Whether a trial is trained above the first rung depends on all others.
        if (rung > 0)
        {
            what["factor"] = halving.Factor;
            what["first"] = halving.Epochs;
            what["trials"] = all.Value;
        }

        return new WorkItem(
            index,
            ContentHash.Id(what),
            string.Create(CultureInfo.InvariantCulture, $"{id}.epochs-{rungs[rung]:D5}.json")
        );
    }

    /// <inheritdoc/>
    public ResultFacts Do(WorkItem item, Stream output, CancellationToken stop)
    {
        var (trial, rung) = PlaceOf(item.Index);
        var request = job.Trials[trial];
        var checkpoint = CheckpointOf(trial);
        string text;
        if (EndOf(trial, rung) is { } ended)
        {
            text = Json.Text(new EndedTrial(request, ended));
        }
        else
        {
            Directory.CreateDirectory(Path.GetDirectoryName(checkpoint)!);
            text =
                rung < rungs.Length - 1
                    ? Json.Text(AblationRun.Until(request, rungs[rung], checkpoint, stop))
                    // The duration is not part of the result, because it differs each time.
                    : Json.Text(AblationRun.Do(request, stop, checkpoint) with { Seconds = 0 });
        }

        output.Write(Encoding.UTF8.GetBytes(text + "\n"));
        return new ResultFacts(1, 0);
    }

    /// <inheritdoc/>
    public void Forget(WorkItem item)
    {
        var (trial, rung) = PlaceOf(item.Index);
        // Below the last rung, the trial continues from the checkpoint, or it is removed when its setting ends.
        if (rung == rungs.Length - 1 && CheckpointOf(trial) is var checkpoint && File.Exists(checkpoint))
            File.Delete(checkpoint);
    }

    /// <summary>Name of the file with the decision about a setting before a rung.</summary>
    /// <param name="setting">Index of the setting, from 0.</param>
    /// <param name="rung">The rung to which it would continue, from 1.</param>
    public string DecisionOf(int setting, int rung) =>
        Path.Combine(
            folder,
            "halving",
            string.Create(CultureInfo.InvariantCulture, $"setting-{setting:D5}.epochs-{rungs[rung - 1]:D5}.json")
        );

    /// <summary>The decision about a setting before a rung; null if there is none yet.</summary>
    public HalvingDecision? Decided(int setting, int rung)
    {
        var path = DecisionOf(setting, rung);
        return File.Exists(path)
            ? JsonSerializer.Deserialize<HalvingDecision>(File.ReadAllText(path), Json.Options)
            : null;
    }

    /// <inheritdoc/>
    public void Dispose() { }

    private static JsonNode NodeOf(RunRequest trial) => JsonNode.Parse(Json.Text(trial))!;

    private static IReadOnlyList<IReadOnlyList<int>> SettingsOf(SweepJob job) =>
        [
            .. Enumerable
                .Range(0, job.Trials.Count)
                .GroupBy(trial => Json.Text(job.Trials[trial].Configuration), StringComparer.Ordinal)
                .Select(group => (IReadOnlyList<int>)[.. group]),
        ];

    /// <summary>The decision by which a trial ended before a rung; null if it continues.</summary>
    /// <exception cref="UserException">There is no decision yet.</exception>
    private HalvingDecision? EndOf(int trial, int rung)
    {
        if (rung == 0)
            return null;
        var setting = settingOf.Value[trial];
        for (var below = 1; below <= rung; below++)
        {
            var decided = Decided(setting, below)
                ?? throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Trial {trial} cannot continue from {rungs[below - 1]} to {rungs[below]} epochs yet: "
                            + $"that is decided by "
                    ) + "the process that coordinates the sweep, once the trials before it have got as far."
                );
            if (!decided.GoesOn)
                return decided;
        }

        return null;
    }

    private string CheckpointOf(int trial) =>
        Path.Combine(folder, "work", $"{ContentHash.Id(NodeOf(job.Trials[trial]))}.checkpoint.safetensors");
}
