using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>The sections of a sweep's page.</summary>
/// <param name="keys">The settings that differ.</param>
/// <param name="trials">Trials that came to their end.</param>
/// <param name="ended">Trials that ended early.</param>
/// <param name="groups">The former by their settings, the best first.</param>
internal sealed class SweepPages(
    IReadOnlyList<string> keys,
    IReadOnlyList<SweepTrial> trials,
    IReadOnlyList<EndedSweepTrial> ended,
    IReadOnlyList<SweepGroup> groups
)
{
    private const int BestShown = 20;
    private const int EndedShown = 200;
    private const int MostPictures = 12;

    /// <summary>The line under the heading.</summary>
    /// <param name="planned">Trials of the sweep.</param>
    public string Subtitle(int planned)
    {
        var open = planned - trials.Count - ended.Count;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{trials.Count:N0} trials of {groups.Count:N0} settings are trained to their end"
                + $"{(ended.Count > 0 ? $", {ended.Count:N0} trials of {EndedSettings().Count:N0} settings ended early" : "")}"
                + $"{(open > 0 ? $", {open:N0} trials are not done" : "")}. Varied: "
                + $"{string.Join(", ", keys.DefaultIfEmpty("nothing but the seed"))}."
        );
    }

    /// <summary>All sections, in their order.</summary>
    public IReadOnlyList<LabPage> All()
    {
        var pages = new List<LabPage>();
        if (groups.Count > 0)
            pages.Add(Best());
        if (keys.Count > 0)
            pages.Add(Together());
        if (trials.Count > 0 && keys.Count > 0)
            pages.Add(Effects());
        if (ended.Count > 0)
            pages.Add(Ended());
        if (trials.Count > 0 && keys.Count > 0)
            pages.Add(Each());
        return pages;
    }

    /// <summary>A setting's value for people: a drawn number has more digits than anybody reads.</summary>
    internal static string Shown(string value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
        && double.IsFinite(number)
            ? Numbers.Short(number, 4)
            : value;

    private LabPage Best() =>
        new("best", "The best settings", Findings())
        {
            Figures =
                groups.Count > 1
                    ?
                    [
                        new Figure("differences", 900, 110 + (26 * Math.Min(BestShown, groups.Count)))
                        {
                            Plot = () => SweepPlots.Differences([.. groups.Take(BestShown)]),
                        },
                    ]
                    : [],
            Tables =
            [
                new LabTable(
                    "By mean validation accuracy; means over the seeds, plus or minus one standard deviation, %; "
                        + "the difference is that in test accuracy from the first row, seed by seed, in points with its "
                        + "95 % interval (* significant)",
                    ["place", .. keys, "seeds", "diverged", "validation", "test", "difference"],
                    [.. groups.Take(BestShown).Select((group, place) => Row(group, place + 1))]
                ),
            ],
        };

    private LabPage Together() =>
        new(
            "together",
            "All settings together",
            "A line is a setting: where it crosses an axis is its value there, and its end on the right is its mean "
                + "validation accuracy. Blue is better than grey, the best is orange."
                + (
                    ended.Count > 0
                        ? " Dashed lines ended early: their accuracy is that of the epoch at which they did, after fewer "
                            + "epochs than the others had."
                        : ""
                )
        )
        {
            Figures =
            [
                new Figure("together", 940, 460)
                {
                    Plot = () =>
                        SweepPlots.Parallel(
                            keys,
                            [
                                .. groups.Select(group => new SweepLine(
                                    group.Trials[0].Settings,
                                    group.Validation.Mean,
                                    IsEnded: false
                                )),
                                .. EndedSettings()
                                    .Select(setting => new SweepLine(
                                        setting.Settings,
                                        setting.Why.ValidationAccuracy,
                                        IsEnded: true
                                    )),
                            ]
                        ),
                },
            ],
        };

    private LabPage Effects()
    {
        var effects = SweepReport.Effects(trials, keys);
        var significant = effects.Where(effect => effect.Effect.IsSignificant).ToArray();
        var words = effects.Count switch
        {
            0 =>
                "No two trials differ by one setting alone, so nothing can be said of a setting by itself: random draws "
                    + "differ in everything. The pictures show what there is.",
            _ when effects.All(effect => double.IsNaN(effect.Effect.HalfWidth)) =>
                "With one seed there is no interval, and nothing can be called significant: give at least three seeds.",
            _ when significant.Length == 0 => "No change of one setting is significant here.",
            _ => "Significant at 95 %, everything else being equal: "
                + string.Join(
                    ", ",
                    significant.Select(effect =>
                        $"{effect.Key} {Shown(effect.From)} → {Shown(effect.To)} ({Points(effect.Effect.Mean)} points)"
                    )
                )
                + ". Of twenty comparisons without any effect one would be.",
        };
        if (ended.Count > 0 && effects.Count > 0)
            words +=
                " Only trials that came to their end are compared, and those were chosen: what ended early has no test figure.";
        return new LabPage("effects", "What is significant", words)
        {
            Tables =
                effects.Count > 0
                    ?
                    [
                        new LabTable(
                            "Difference in test accuracy, in points, between trials that differ by one setting alone: the "
                                + "mean over all such pairs, and its 95 % interval over the seeds (* significant)",
                            ["setting", "from", "to", "pairs", "difference"],
                            [
                                .. effects.Select(effect =>
                                    (string[])
                                        [
                                            effect.Key,
                                            Shown(effect.From),
                                            Shown(effect.To),
                                            effect.Pairs.ToString(CultureInfo.InvariantCulture),
                                            Interval(effect.Effect),
                                        ]
                                ),
                            ]
                        ),
                    ]
                    : [],
        };
    }

    private LabPage Ended()
    {
        var settings = EndedSettings();
        var best = groups.Count > 0 ? groups[0].Trials[0].Result.ValidationCurve : [];
        return new LabPage(
            "ended",
            "What ended early, and why",
            "After some epochs the best of the settings that had come so far went on; the others ended there. A line is a "
                + "trial's validation accuracy by epoch: grey ones ended early, blue ones went to the end, the first of the "
                + "table above is orange. A setting that learns slowly and would have been good in the end is lost in this way."
        )
        {
            Figures =
            [
                new Figure("ended", 940, 420)
                {
                    Plot = () =>
                        SweepPlots.Curves(
                            [.. ended.Select(trial => trial.Rung.ValidationCurve)],
                            [.. trials.Select(trial => trial.Result.ValidationCurve)],
                            best
                        ),
                },
            ],
            Tables =
            [
                new LabTable(
                    settings.Count > EndedShown
                        ? FormattableString.Invariant($"The {EndedShown} that came furthest; sweep.csv has all")
                        : "Those that came furthest first; means over the seeds, %",
                    [.. keys, "ended after", "validation", "place"],
                    [
                        .. settings
                            .OrderByDescending(setting => setting.Why.Epochs)
                            .ThenBy(setting => setting.Why.Rank)
                            .Take(EndedShown)
                            .Select(setting =>
                                (string[])
                                    [
                                        .. keys.Select(key => Shown(setting.Settings.GetValueOrDefault(key, ""))),
                                        FormattableString.Invariant($"{setting.Why.Epochs} epochs"),
                                        (100 * setting.Why.ValidationAccuracy).ToString(
                                            "F1",
                                            CultureInfo.InvariantCulture
                                        ),
                                        FormattableString.Invariant($"{setting.Why.Rank} of {setting.Why.Seen}"),
                                    ]
                            ),
                    ]
                ),
            ],
        };
    }

    private LabPage Each() =>
        new(
            "settings",
            "Each setting against the result",
            "A point is a trial: its setting, and its validation accuracy. What differs besides is in each point too, so a "
                + "trend shows only where it is stronger than the rest."
        )
        {
            Figures =
            [
                .. keys.Take(MostPictures)
                    .Select(
                        (key, series) =>
                            new Figure(FormattableString.Invariant($"setting{series}"), 900, 360)
                            {
                                Plot = () => SweepPlots.Scatter(trials, key, series),
                            }
                    ),
            ],
        };

    /// <summary>One trial of each setting that ended early.</summary>
    private IReadOnlyList<EndedSweepTrial> EndedSettings() =>
        [
            .. ended.DistinctBy(trial =>
                string.Join('\n', keys.Select(key => trial.Settings.GetValueOrDefault(key, "")))
            ),
        ];

    private string Findings()
    {
        var best = groups[0];
        var settings = string.Join(
            ", ",
            keys.Select(key => $"{key} {Shown(best.Trials[0].Settings.GetValueOrDefault(key, ""))}")
                .DefaultIfEmpty("as given")
        );
        var worse = groups.Count(group => group.Difference is { IsSignificant: true, Mean: < 0 });
        var comparison = groups.Count switch
        {
            1 => "No other setting came to the end.",
            _ when best.Trials.Count == 1 =>
                "With one seed there is no interval: what of the differences is chance cannot be said.",
            _ => string.Create(
                CultureInfo.InvariantCulture,
                $"Significantly worse on the test part, each compared alone: {worse:N0} of the {groups.Count - 1:N0} other settings; "
            ) + "between the rest and the first nothing is shown.",
        };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Chosen by validation accuracy: {settings}; its test accuracy is {100 * best.Test.Mean:F1} %. {comparison} The best "
                + $"of many is partly the luckiest: its own figures are a little too good, and one in twenty comparisons is "
                + $"significant by chance."
        );
    }

    private string[] Row(SweepGroup group, int place) =>
        [
            place.ToString(CultureInfo.InvariantCulture),
            .. keys.Select(key => Shown(group.Trials[0].Settings.GetValueOrDefault(key, ""))),
            group.Trials.Count.ToString(CultureInfo.InvariantCulture),
            group.Trials.Count(trial => trial.Result.Diverged).ToString(CultureInfo.InvariantCulture),
            Percent(group.Validation),
            Percent(group.Test),
            group.Difference is { } difference ? Interval(difference) : "",
        ];

    private static string Interval(Effect effect) =>
        double.IsNaN(effect.HalfWidth)
            ? Points(effect.Mean)
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{Points(effect.Mean)} ± {100 * effect.HalfWidth:F1}{(effect.IsSignificant ? " *" : "")}"
            );

    private static string Points(double share) => (100 * share).ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);

    private static string Percent(Spread spread) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * spread.Mean:F1} ± {100 * spread.Deviation:F1}");
}
