using System.Globalization;
using System.Text;
using System.Text.Json;
using TorchBridge.Scale.Contract;
using TorchBridge.Scale.Grains;
using TorchBridge.Scale.Publishing;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;

namespace TorchBridge.Training.Jobs;

/// <summary>Decides, in the process that coordinates a sweep, which trials continue and which end early. Each
/// decision is published as a file before it takes effect, so that whoever continues the sweep finds it and keeps
/// it.</summary>
internal sealed class SweepHalving
{
    private readonly SweepWork work;
    private readonly ResultFolder results;
    private readonly HalvingLadder ladder;
    private readonly Action<string> say;
    private readonly Lazy<string[]> names;

    /// <summary>Creates an instance without any decisions yet.</summary>
    /// <param name="work">A sweep with halving.</param>
    /// <param name="results">Its results.</param>
    /// <param name="say">Called with a text for each decision.</param>
    public SweepHalving(SweepWork work, ResultFolder results, Action<string> say)
    {
        (this.work, this.results, this.say) = (work, results, say);
        names = new(() => Names(work));
        ladder = new HalvingLadder(work.Settings.Count, work.Rungs.Count, work.Halving!.Factor);
    }

    /// <summary>Makes all decisions that are possible now.</summary>
    /// <param name="now">Progress of the sweep; items that were set aside count as the last of their rung.</param>
    /// <returns>The verdicts on items.</returns>
    public IReadOnlyList<Verdict> Decide(JobProgress now)
    {
        var aside = now.AllSetAside.ToHashSet();
        var steps = ladder.Advance((setting, rung) => ResultOf(setting, rung, aside));
        return [.. steps.SelectMany(Follow)];
    }

    private (RungState State, double Score) ResultOf(int setting, int rung, HashSet<int> aside)
    {
        var sum = 0.0;
        foreach (var trial in work.Settings[setting])
        {
            var item = work.Item(work.IndexOf(trial, rung));
            // A published result counts, even if its worker has been given up.
            if (results.Find(item) is null)
                return (aside.Contains(item.Index) ? RungState.Failed : RungState.Open, 0);
            sum += JsonSerializer
                .Deserialize<RungResult>(File.ReadAllText(results.FileOf(item)), Json.Options)!
                .ValidationAccuracy;
        }

        return (RungState.Scored, sum / work.Settings[setting].Count);
    }

    private IEnumerable<Verdict> Follow(LadderStep step)
    {
        if (step.Kind == LadderStepKind.Fails)
            return Above(step)
                .Select(item => new Verdict
                {
                    Index = item.Index,
                    IsOpened = false,
                    Error = string.Create(
                        CultureInfo.InvariantCulture,
                        $"not trained further, because a trial of its setting failed before epoch "
                            + $"{work.Rungs[step.Rung]}"
                    ),
                });
        var decision = Publish(step);
        if (decision.GoesOn)
            return work.Settings[step.Contender]
                .Select(trial => work.Item(work.IndexOf(trial, step.Rung + 1)))
                .Select(item => new Verdict { Index = item.Index, IsOpened = results.Find(item) is null });
        return Above(step)
            .Select(item =>
            {
                results.DoOnce(work, item, CancellationToken.None);
                return new Verdict { Index = item.Index, IsOpened = false };
            });
    }

    private IEnumerable<WorkItem> Above(LadderStep step) =>
        from rung in Enumerable.Range(step.Rung + 1, work.Rungs.Count - step.Rung - 1)
        from trial in work.Settings[step.Contender]
        select work.Item(work.IndexOf(trial, rung));

    /// <summary>Publishes a decision; a decision that was published before takes precedence.</summary>
    private HalvingDecision Publish(LadderStep step)
    {
        var path = work.DecisionOf(step.Contender, step.Rung + 1);
        var decision = new HalvingDecision(
            step.Kind == LadderStepKind.GoesOn,
            work.Rungs[step.Rung],
            step.Score,
            step.Rank,
            step.Seen
        );
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (!OnceFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(Json.Text(decision) + "\n"))))
            return work.Decided(step.Contender, step.Rung + 1)!;
        say(Line(names.Value[step.Contender], decision, work.Rungs[step.Rung + 1]));
        return decision;
    }

    /// <summary>Names each setting by its number and the values that differ between settings.</summary>
    private static string[] Names(SweepWork work)
    {
        var settings = work.Settings.Select(trials => SweepTrial.SettingsOf(work.Trials[trials[0]])).ToArray();
        var keys = SweepReport.VariedKeys(settings);
        return
        [
            .. settings.Select(
                (setting, number) => FormattableString.Invariant($"setting {number} ({Values(setting)})")
            ),
        ];

        string Values(IReadOnlyDictionary<string, string> setting) =>
            string.Join(", ", keys.Select(key => $"{key} {SweepPages.Shown(setting.GetValueOrDefault(key, ""))}"));
    }

    /// <summary>Describes a decision.</summary>
    /// <param name="setting">Number and values of the setting.</param>
    /// <param name="decision">The decision.</param>
    /// <param name="next">Epochs of the next rung.</param>
    private static string Line(string setting, HalvingDecision decision, int next) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{setting} {(decision.GoesOn ? $"continues to {next} epochs" : "ends")} after {decision.Epochs}: "
                + $"validation accuracy {100 * decision.ValidationAccuracy:F1} %, rank {decision.Rank} of "
                + $"{decision.Seen}{(decision.GoesOn ? " so far" : "")}."
        );
}
