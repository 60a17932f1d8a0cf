using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
using TorchBridge.Onnx;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Commands;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>The results of a sweep: a table of all trials, and one page with the best settings and a picture a
/// setting.</summary>
internal static class SweepReport
{
    private const int BestShown = 20;
    private const int MostPictures = 12;

    /// <summary>Writes what is finished.</summary>
    /// <param name="folder">The sweep's folder.</param>
    /// <returns>The files; none where nothing is finished.</returns>
    public static IReadOnlyList<string> Write(string folder)
    {
        var trials = Read(folder);
        if (trials.Count == 0)
            return [];
        var keys = VariedKeys(trials);
        var csv = Path.Combine(folder, "sweep.csv");
        var page = Path.Combine(folder, "sweep.html");
        AtomicWrite.Text(csv, Csv(trials, keys));
        var groups = Groups(trials, keys);
        var total = trials.Count;
        LabOutput.WriteHtml(
            page,
            "Sweep: settings against results",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{total:N0} trials of {groups.Count:N0} settings; varied: {string.Join(", ", keys.DefaultIfEmpty("nothing"))}."
            ),
            Pages(trials, keys, groups)
        );
        return [csv, page];
    }

    /// <summary>The settings that differ between trials, by their names in a recipe.</summary>
    internal static IReadOnlyList<string> VariedKeys(IReadOnlyList<SweepTrial> trials) =>
        [
            .. trials[0]
                .Settings.Keys.Where(key =>
                    trials.Select(trial => trial.Settings.GetValueOrDefault(key, "")).Distinct().Skip(1).Any()
                ),
        ];

    /// <summary>Trials of the same settings together, the best mean validation accuracy first.</summary>
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

    private static List<SweepTrial> Read(string folder)
    {
        var (work, results) = JobFolder.Open(folder, isRead: true);
        using (work)
        {
            return
            [
                .. Enumerable
                    .Range(0, work.Count)
                    .Select(work.Item)
                    .Where(item => results.Find(item) is not null)
                    .Select(item =>
                        SweepTrial.Of(
                            item.Index,
                            JsonSerializer.Deserialize<RunResult>(File.ReadAllText(results.FileOf(item)), Json.Options)!
                        )
                    ),
            ];
        }
    }

    private static string Csv(IReadOnlyList<SweepTrial> trials, IReadOnlyList<string> keys)
    {
        var text = new StringBuilder("trial,seed");
        foreach (var key in keys)
            text.Append(',').Append(CsvPredictions.Quoted(key));
        text.Append(",training_accuracy,validation_accuracy,test_accuracy,calibration_error,best_epoch,diverged\n");
        foreach (var trial in trials)
        {
            var result = trial.Result;
            text.Append(CultureInfo.InvariantCulture, $"{trial.Index},{result.Request.Seed}");
            foreach (var key in keys)
                text.Append(',').Append(CsvPredictions.Quoted(trial.Settings.GetValueOrDefault(key, "")));
            text.Append(
                CultureInfo.InvariantCulture,
                $",{result.TrainingAccuracy:R},{result.ValidationAccuracy:R},{result.TestAccuracy:R},"
            );
            text.Append(
                CultureInfo.InvariantCulture,
                $"{result.CalibrationError:R},{result.BestEpoch},{(result.Diverged ? "true" : "false")}\n"
            );
        }

        return text.ToString();
    }

    private static IReadOnlyList<LabPage> Pages(
        IReadOnlyList<SweepTrial> trials,
        IReadOnlyList<string> keys,
        IReadOnlyList<SweepGroup> groups
    ) =>
        [
            new LabPage("best", "The best settings", Findings(groups, keys))
            {
                Tables =
                [
                    new LabTable(
                        "By mean validation accuracy; means over the seeds, plus or minus one standard deviation, %; "
                            + "the difference is that in test accuracy from the first row, seed by seed, in points with its "
                            + "95 % interval (* significant)",
                        [.. keys, "seeds", "diverged", "validation", "test", "difference"],
                        [.. groups.Take(BestShown).Select(group => Row(group, keys))]
                    ),
                ],
            },
            new LabPage(
                "settings",
                "Each setting against the result",
                "A point is a trial: its setting, and its validation accuracy. What differs besides is in each point too, so a "
                    + "trend shows only where it is stronger than the rest."
            )
            {
                Figures = [.. keys.Take(MostPictures).Select((key, i) => Scatter(trials, key, i))],
            },
        ];

    private static string Findings(IReadOnlyList<SweepGroup> groups, IReadOnlyList<string> keys)
    {
        var best = groups[0];
        var settings = string.Join(
            ", ",
            keys.Select(key => $"{key} {best.Trials[0].Settings.GetValueOrDefault(key, "")}").DefaultIfEmpty("as given")
        );
        var worse = groups.Count(group => group.Difference is { IsSignificant: true, Mean: < 0 });
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Chosen by validation accuracy: {settings}; its test accuracy is {100 * best.Test.Mean:F1} %. Of the "
                + $"{groups.Count - 1:N0} other settings {worse:N0} are significantly worse on the test part, each compared alone; "
                + $"between the others and the first nothing is shown. The best of many is partly the luckiest: its own figures "
                + $"are a little too good, and one in twenty comparisons is significant by chance."
        );
    }

    private static string[] Row(SweepGroup group, IReadOnlyList<string> keys) =>
        [
            .. keys.Select(key => group.Trials[0].Settings.GetValueOrDefault(key, "")),
            group.Trials.Count.ToString(CultureInfo.InvariantCulture),
            group.Trials.Count(trial => trial.Result.Diverged).ToString(CultureInfo.InvariantCulture),
            Percent(group.Validation),
            Percent(group.Test),
            group.Difference switch
            {
                null => "",
                { HalfWidth: double.NaN } one => string.Create(
                    CultureInfo.InvariantCulture,
                    $"{100 * one.Mean:+0.0;-0.0}"
                ),
                var effect => string.Create(
                    CultureInfo.InvariantCulture,
                    $"{100 * effect.Mean:+0.0;-0.0} ± {100 * effect.HalfWidth:F1}{(effect.IsSignificant ? " *" : "")}"
                ),
            },
        ];

    private static string Percent(Spread spread) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * spread.Mean:F1} ± {100 * spread.Deviation:F1}");

    private static Figure Scatter(IReadOnlyList<SweepTrial> trials, string key, int series)
    {
        const int width = 900,
            height = 360;
        return new Figure($"setting{series}", width, height)
        {
            Plot = () =>
            {
                var plot = PlotStyle.Plot(key, "validation accuracy by setting");
                var values = trials.Select(trial => trial.Settings.GetValueOrDefault(key, "")).ToArray();
                var numbers = values.Select(Number).ToArray();
                var points = new ScatterSeries
                {
                    MarkerType = MarkerType.Circle,
                    MarkerSize = 4,
                    MarkerFill = PlotStyle.Color(series),
                };
                double[] places;
                if (numbers.All(double.IsFinite))
                {
                    // Draws over several powers of ten would lie on one spot.
                    var isLogarithmic = numbers.Min() > 0 && numbers.Max() / numbers.Min() >= 30;
                    plot.Axes.Add(PlotStyle.Axis(isLogarithmic, AxisPosition.Bottom, key));
                    places = numbers;
                }
                else
                {
                    var names = values.Distinct().Order(StringComparer.Ordinal).ToArray();
                    plot.Axes.Add(PlotStyle.Names(AxisPosition.Bottom, names, width));
                    places = [.. values.Select(value => (double)Array.IndexOf(names, value))];
                }

                plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Left, "validation accuracy, %"));
                for (var i = 0; i < trials.Count; i++)
                    points.Points.Add(new ScatterPoint(places[i], 100 * trials[i].Result.ValidationAccuracy));
                plot.Series.Add(points);
                return plot;
            },
        };
    }

    private static double Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN;
}

/// <summary>A trial of a sweep.</summary>
/// <param name="Index">Its place in the sweep.</param>
/// <param name="Settings">Its recipe, setting by setting: <c>training.learning_rate</c>, its value as text.</param>
/// <param name="Result">What it gave.</param>
internal sealed record SweepTrial(int Index, IReadOnlyDictionary<string, string> Settings, RunResult Result)
{
    /// <summary>Of a result.</summary>
    public static SweepTrial Of(int index, RunResult result)
    {
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Flatten(JsonNode.Parse(Json.Text(result.Request.Configuration))!.AsObject(), "", settings);
        return new SweepTrial(index, settings, result);
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
                        ? Numbers.Short(real, 6)
                        : value?.ToString() ?? "";
        }
    }
}

/// <summary>Trials that differ by their seeds alone.</summary>
/// <param name="Trials">By seed.</param>
/// <param name="Validation">Accuracy that choices look at.</param>
/// <param name="Test">Accuracy that is reported.</param>
/// <param name="Difference">In test accuracy from the best settings, paired by seed; null for those.</param>
internal sealed record SweepGroup(IReadOnlyList<SweepTrial> Trials, Spread Validation, Spread Test, Effect? Difference);
