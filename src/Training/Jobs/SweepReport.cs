using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchBridge.Onnx;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>The results of a sweep: a table of all trials, and one page with the best settings, significant effects,
/// and plots of results by setting.</summary>
internal static class SweepReport
{
    /// <summary>Writes the report of all finished trials.</summary>
    /// <param name="folder">The sweep's folder.</param>
    /// <returns>The files; empty if no trial is finished.</returns>
    public static IReadOnlyList<string> Write(string folder)
    {
        var (trials, ended, planned) = Read(folder);
        if (trials.Count + ended.Count == 0)
            return [];
        var keys = VariedKeys([.. trials.Select(trial => trial.Settings), .. ended.Select(trial => trial.Settings)]);
        var csv = Path.Combine(folder, "sweep.csv");
        var page = Path.Combine(folder, "sweep.html");
        AtomicWrite.Text(csv, Csv(trials, ended, keys));
        var pages = new SweepPages(keys, trials, ended, Groups(trials, keys));
        LabOutput.WriteHtml(page, "Sweep: results by setting", pages.Subtitle(planned), pages.All());
        return [csv, page];
    }

    /// <summary>The settings that differ between trials, by name in the recipe.</summary>
    internal static IReadOnlyList<string> VariedKeys(IReadOnlyList<IReadOnlyDictionary<string, string>> settings) =>
        [
            .. settings
                .SelectMany(setting => setting.Keys)
                .Distinct()
                .Order(StringComparer.Ordinal)
                .Where(key => settings.Select(setting => setting.GetValueOrDefault(key, "")).Distinct().Skip(1).Any()),
        ];

    /// <summary>Groups trials with the same settings, the best mean validation accuracy first.</summary>
    internal static IReadOnlyList<SweepGroup> Groups(IReadOnlyList<SweepTrial> trials, IReadOnlyList<string> keys)
    {
        var groups = trials
            .GroupBy(trial => string.Join('\n', keys.Select(key => trial.Settings.GetValueOrDefault(key, ""))))
            .Select(group => group.OrderBy(trial => trial.Result.Request.Seed).ToArray())
            .OrderByDescending(group => group.Average(trial => trial.Result.ValidationAccuracy))
            .ToArray();
        return
        [
            .. groups.Select(group =>
            {
                var best = groups[0]
                    .ToDictionary(trial => trial.Result.Request.Seed, trial => trial.Result.TestAccuracy);
                var differences = group
                    .Where(trial => best.ContainsKey(trial.Result.Request.Seed))
                    .Select(trial => trial.Result.TestAccuracy - best[trial.Result.Request.Seed])
                    .ToArray();
                return new SweepGroup(
                    group,
                    Spread.Of([.. group.Select(trial => trial.Result.ValidationAccuracy)]),
                    Spread.Of([.. group.Select(trial => trial.Result.TestAccuracy)]),
                    group == groups[0] || differences.Length == 0 ? null : Effect.Of(differences)
                );
            }),
        ];
    }

    /// <summary>
    /// The effect of a setting's value with everything else equal: the difference in test accuracy from the setting's
    /// first value, over trials that differ only in it. Means over the other settings are computed per seed, and the
    /// interval is over the seeds, because trials with the same seed share their data.
    /// </summary>
    internal static IReadOnlyList<SettingEffect> Effects(IReadOnlyList<SweepTrial> trials, IReadOnlyList<string> keys)
    {
        var effects = new List<SettingEffect>();
        foreach (var key in keys)
        {
            var cells = trials
                .GroupBy(trial =>
                    string.Join(
                        '\n',
                        keys.Where(other => other != key)
                            .Select(other => trial.Settings.GetValueOrDefault(other, ""))
                            .Append(trial.Result.Request.Seed.ToString(CultureInfo.InvariantCulture))
                    )
                )
                .Select(cell =>
                    (
                        cell.First().Result.Request.Seed,
                        Values: cell.ToDictionary(
                            trial => trial.Settings.GetValueOrDefault(key, ""),
                            trial => trial.Result.TestAccuracy,
                            StringComparer.Ordinal
                        )
                    )
                )
                .ToArray();
            var values = trials.Select(trial => trial.Settings.GetValueOrDefault(key, "")).Distinct().ToArray();
            foreach (var value in values.Skip(1))
            {
                var bySeed = cells
                    .Where(cell => cell.Values.ContainsKey(values[0]) && cell.Values.ContainsKey(value))
                    .GroupBy(cell => cell.Seed, cell => cell.Values[value] - cell.Values[values[0]])
                    .ToArray();
                if (bySeed.Length > 0)
                    effects.Add(
                        new SettingEffect(
                            key,
                            values[0],
                            value,
                            bySeed.Sum(seed => seed.Count()),
                            Effect.Of([.. bySeed.Select(seed => seed.Average())])
                        )
                    );
            }
        }

        return effects;
    }

    private static (IReadOnlyList<SweepTrial> Trials, IReadOnlyList<EndedSweepTrial> Ended, int Planned) Read(
        string folder
    )
    {
        var (opened, results) = JobFolder.Open(folder, isRead: true);
        using (opened)
        {
            if (opened is not SweepWork work)
                throw new UserException($"{folder} contains no sweep.");
            var trials = new List<SweepTrial>();
            var ended = new List<EndedSweepTrial>();
            for (var trial = 0; trial < work.Trials.Count; trial++)
            {
                var last = work.Item(work.IndexOf(trial, work.Rungs.Count - 1));
                if (results.Find(last) is null)
                    continue;
                var node = JsonNode.Parse(File.ReadAllText(results.FileOf(last)))!.AsObject();
                if (!node.ContainsKey("ended"))
                {
                    trials.Add(SweepTrial.Of(trial, node.Deserialize<RunResult>(Json.Options)!));
                    continue;
                }

                var why = node.Deserialize<EndedTrial>(Json.Options)!.Ended;
                var rung = work.Item(work.IndexOf(trial, work.Rungs.Index().First(at => at.Item == why.Epochs).Index));
                ended.Add(
                    EndedSweepTrial.Of(
                        trial,
                        JsonSerializer.Deserialize<RungResult>(File.ReadAllText(results.FileOf(rung)), Json.Options)!,
                        why
                    )
                );
            }

            return (trials, ended, work.Trials.Count);
        }
    }

    private static string Csv(
        IReadOnlyList<SweepTrial> trials,
        IReadOnlyList<EndedSweepTrial> ended,
        IReadOnlyList<string> keys
    )
    {
        var text = new StringBuilder("trial,seed");
        foreach (var key in keys)
            text.Append(',').Append(CsvPredictions.Quoted(key));
        text.Append(
            ",training_accuracy,validation_accuracy,test_accuracy,calibration_error,best_epoch,diverged,ended_after\n"
        );
        string Settings(IReadOnlyDictionary<string, string> settings) =>
            string.Concat(keys.Select(key => "," + CsvPredictions.Quoted(settings.GetValueOrDefault(key, ""))));
        var lines = trials
            .Select(trial =>
                (
                    trial.Index,
                    Line: string.Create(
                        CultureInfo.InvariantCulture,
                        $"{trial.Index},{trial.Result.Request.Seed}{Settings(trial.Settings)},"
                            + $"{trial.Result.TrainingAccuracy:R},{trial.Result.ValidationAccuracy:R},"
                            + $"{trial.Result.TestAccuracy:R},{trial.Result.CalibrationError:R},{trial.Result.BestEpoch},"
                            + $"{(trial.Result.Diverged ? "true" : "false")},"
                    )
                )
            )
            .Concat(
                ended.Select(trial =>
                    (
                        trial.Index,
                        Line: string.Create(
                            CultureInfo.InvariantCulture,
                            $"{trial.Index},{trial.Rung.Request.Seed}{Settings(trial.Settings)},,"
                                + $"{trial.Rung.ValidationAccuracy:R},,,,{(trial.Rung.Diverged ? "true" : "false")},"
                                + $"{trial.Why.Epochs}"
                        )
                    )
                )
            );
        foreach (var (_, line) in lines.OrderBy(line => line.Index))
            text.Append(line).Append('\n');
        return text.ToString();
    }
}

/// <summary>A trial of a sweep.</summary>
/// <param name="Index">Index of the trial in the sweep.</param>
/// <param name="Settings">Its settings by name (<c>training.learning_rate</c>), with values as text.</param>
/// <param name="Result">Its result.</param>
internal sealed record SweepTrial(int Index, IReadOnlyDictionary<string, string> Settings, RunResult Result)
{
    /// <summary>Creates a trial from its result.</summary>
    public static SweepTrial Of(int index, RunResult result) => new(index, SettingsOf(result.Request), result);

    /// <summary>The settings of a recipe, by name.</summary>
    public static IReadOnlyDictionary<string, string> SettingsOf(RunRequest request)
    {
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Flatten(JsonNode.Parse(Json.Text(request.Configuration))!.AsObject(), "", settings);
        return settings;
    }

    private static void Flatten(JsonObject json, string before, SortedDictionary<string, string> settings)
    {
        foreach (var (name, value) in json)
        {
            if (value is JsonObject inner)
                Flatten(inner, $"{before}{name}.", settings);
            else
                settings[before + name] =
                    value is JsonValue number && number.TryGetValue<double>(out var real)
                        ? Numbers.Exact(real)
                        : value?.ToString() ?? "";
        }
    }
}

/// <summary>Trials that differ only in their seeds.</summary>
/// <param name="Trials">The trials, by seed.</param>
/// <param name="Validation">Validation accuracy, on which decisions are based.</param>
/// <param name="Test">Test accuracy, which is reported.</param>
/// <param name="Difference">Difference in test accuracy from the best settings, paired by seed; null for the best
/// settings.</param>
internal sealed record SweepGroup(IReadOnlyList<SweepTrial> Trials, Spread Validation, Spread Test, Effect? Difference);

/// <summary>A trial that ended early.</summary>
/// <param name="Index">Index of the trial in the sweep.</param>
/// <param name="Settings">Its settings by name.</param>
/// <param name="Rung">Its state when it ended.</param>
/// <param name="Why">The decision about its setting.</param>
internal sealed record EndedSweepTrial(
    int Index,
    IReadOnlyDictionary<string, string> Settings,
    RungResult Rung,
    HalvingDecision Why
)
{
    /// <summary>Creates a trial from its result.</summary>
    public static EndedSweepTrial Of(int index, RungResult rung, HalvingDecision why) =>
        new(index, SweepTrial.SettingsOf(rung.Request), rung, why);
}

/// <summary>The effect of a setting's value on test accuracy, with everything else equal.</summary>
/// <param name="Key">The setting.</param>
/// <param name="From">Its first value.</param>
/// <param name="To">The value that is compared with the first one.</param>
/// <param name="Pairs">Number of pairs of trials that differ only in this setting.</param>
/// <param name="Effect">The mean difference, with its interval over the seeds.</param>
internal sealed record SettingEffect(string Key, string From, string To, int Pairs, Effect Effect);
