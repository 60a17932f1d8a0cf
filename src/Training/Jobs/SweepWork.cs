using System.Globalization;
using System.Text;
using System.Text.Json;
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

    /// <summary>How bad settings end early; null where every trial is trained to its end.</summary>
    public Halving? Halving { get; init; }
}

/// <summary>
/// Trains the trials of a sweep. A trial writes a checkpoint after each epoch, named by its id: whoever does it next goes
/// on from there, to the same bits. With halving an item is a trial up to a rung, the highest rung first: what may go on is
/// then done before anything new is begun. The result of an item that was not trained, because its setting had ended
/// early, says so.
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
    /// <param name="job">What its <c>job.json</c> says.</param>
    /// <exception cref="UserException">It has no trials.</exception>
    public SweepWork(string folder, SweepJob job)
    {
        if (job.Trials is not { Count: > 0 })
            throw new UserException($"{JobFolder.JobOf(folder)} is no sweep: it has no trials.");
        (this.folder, this.job) = (folder, job);
        rungs = job.Halving is { } halving ? [.. halving.Rungs(job.Trials[0].Configuration.Training.Epochs)] : [0];
        // A child that trains one trial needs none of these.
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

    /// <summary>Its trials.</summary>
    public IReadOnlyList<RunRequest> Trials => job.Trials;

    /// <summary>How bad settings end early; null where none does.</summary>
    public Halving? Halving => job.Halving;

    /// <summary>The epochs of each rung; one of 0 where there is no halving.</summary>
    public IReadOnlyList<int> Rungs => rungs;

    /// <summary>The trials of each setting, one a seed.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Settings => settings.Value;

    /// <inheritdoc/>
    public int Count => job.Trials.Count * rungs.Length;

    /// <summary>Items that wait for what others give: all above the first rung.</summary>
    public int Held => job.Trials.Count * (rungs.Length - 1);

    /// <summary>Another trial must not find what one has left in libtorch.</summary>
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
        // Whether a trial is done at all above the first rung depends on all others.
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
                    // How long it took is no part of the result: that would differ each time.
                    : Json.Text(AblationRun.Do(request, stop, checkpoint) with { Seconds = 0 });
        }

        output.Write(Encoding.UTF8.GetBytes(text + "\n"));
        return new ResultFacts(1, 0);
    }

    /// <inheritdoc/>
    public void Forget(WorkItem item)
    {
        var (trial, rung) = PlaceOf(item.Index);
        // Below the last rung it goes on from there, or the end of its setting removes it.
        if (rung == rungs.Length - 1 && CheckpointOf(trial) is var checkpoint && File.Exists(checkpoint))
            File.Delete(checkpoint);
    }

    /// <summary>Where stands what was decided of a setting before a rung.</summary>
    /// <param name="setting">Which, from 0.</param>
    /// <param name="rung">The rung that it asks to go on to, from 1.</param>
    public string DecisionOf(int setting, int rung) =>
        Path.Combine(
            folder,
            "halving",
            string.Create(CultureInfo.InvariantCulture, $"setting-{setting:D5}.epochs-{rungs[rung - 1]:D5}.json")
        );

    /// <summary>What was decided of a setting before a rung; null where nothing was yet.</summary>
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

    /// <summary>The decision by which a trial ended before a rung; null where it goes on to it.</summary>
    /// <exception cref="UserException">Nothing was decided yet.</exception>
    private HalvingDecision? EndOf(int trial, int rung)
    {
        if (rung == 0)
            return null;
        var setting = settingOf.Value[trial];
        for (var below = 1; below <= rung; below++)
        {
            var decided = Decided(setting, below)
                ?? throw new UserException(
                    FormattableString.Invariant(
                        $"Trial {trial} is not to go on yet from {rungs[below - 1]} to {rungs[below]} epochs: that is decided by "
                    ) + "the process that keeps the sweep's books, when the trials before it have got as far."
                );
            if (!decided.GoesOn)
                return decided;
        }

        return null;
    }

    private string CheckpointOf(int trial) =>
        Path.Combine(folder, "work", $"{ContentHash.Id(NodeOf(job.Trials[trial]))}.checkpoint.safetensors");
}
