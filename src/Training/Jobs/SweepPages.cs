using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Jobs;

/// <summary>The sections of a sweep's report page.</summary>
/// <param name="keys">The settings that differ.</param>
/// <param name="trials">Completed trials.</param>
/// <param name="ended">Trials that ended early.</param>
/// <param name="groups">The completed trials grouped by settings, the best first.</param>
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

    /// <summary>The subtitle of the page.</summary>
    /// <param name="planned">Number of trials of the sweep.</param>
    public string Subtitle(int planned)
    {
        var open = planned - trials.Count - ended.Count;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{trials.Count:N0} trials of {groups.Count:N0} settings are complete"
                + $"{(ended.Count > 0 ? $", {ended.Count:N0} trials of {EndedSettings().Count:N0} settings ended early" : "")}"
                + $"{(open > 0 ? $", {open:N0} trials are not finished" : "")}. Varied: "
                + $"{string.Join(", ", keys.DefaultIfEmpty("nothing but the seed"))}."
        );
    }

    /// <summary>All sections, in order.</summary>
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

    /// <summary>A setting's value for display; randomly drawn numbers are rounded.</summary>
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
                        + "the difference is that of the test accuracy from the first row, paired by seed, in "
                        + "percentage points with its 95 % interval (* significant)",
                    ["rank", .. keys, "seeds", "diverged", "validation", "test", "difference"],
                    [.. groups.Take(BestShown).Select((group, place) => Row(group, place + 1))]
                ),
            ],
        };

    private LabPage Together() =>
        new(
            "together",
            "All settings together",
            "Each line is a setting: it crosses each axis at its value there, and its right end is its mean "
                + "validation accuracy. Blue is better than grey; the best is orange."
                + (
                    ended.Count > 0
                        ? " Dashed lines ended early: their accuracy is that of the epoch at which they ended, "
                            + "after fewer epochs than the others."
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
            0 => "No two trials differ in only one setting, so nothing can be said about a single setting: random "
                + "draws differ in every setting. The plots show the tendencies.",
            _ when effects.All(effect => double.IsNaN(effect.Effect.HalfWidth)) =>
                "With one seed there is no interval, so nothing can be called significant. Use at least three seeds.",
            _ when significant.Length == 0 => "No change of a single setting is significant here.",
            _ => "Significant at 95 %, with everything else equal: "
                + string.Join(
                    ", ",
                    significant.Select(effect =>
                        $"{effect.Key} {Shown(effect.From)} → {Shown(effect.To)} ({Points(effect.Effect.Mean)} points)"
                    )
                )
                + ". Note that one in twenty comparisons without any effect is significant by chance.",
        };
        if (ended.Count > 0 && effects.Count > 0)
            words +=
                " Only completed trials are compared, which is a selection: trials that ended early have no test "
                + "accuracy.";
        return new LabPage("effects", "What is significant", words)
        {
            Tables =
                effects.Count > 0
                    ?
                    [
                        new LabTable(
                            "Difference in test accuracy, in percentage points, between trials that differ in "
                                + "only one setting: the "
                                + "mean over all such pairs, with its 95 % interval over the seeds (* significant)",
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
            "Settings that ended early, and why",
            "At certain epochs only the best of the settings that had reached them continued; the others ended "
                + "there. Each line is a "
                + "trial's validation accuracy by epoch: grey lines ended early, blue lines were completed, and "
                + "the first of the "
                + "table above is orange. This method misses settings that learn slowly and would have been good "
                + "in the end."
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
                        ? FormattableString.Invariant(
                            $"The {EndedShown} settings that got furthest; sweep.csv lists all"
                        )
                        : "Settings that got furthest first; means over the seeds, %",
                    [.. keys, "ended after", "validation", "rank"],
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
            "Result by setting",
            "Each point is a trial: the value of the setting and its validation accuracy. The other settings "
                + "vary too, so a trend is visible only if it is stronger than their influence."
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

    /// <summary>One trial per setting that ended early.</summary>
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
            1 => "No other setting was completed.",
            _ when best.Trials.Count == 1 =>
                "With one seed there is no interval, so it is unknown which differences are due to chance.",
            _ => string.Create(
                CultureInfo.InvariantCulture,
                $"Significantly worse on the test part, each compared alone: {worse:N0} of the {groups.Count - 1:N0} other settings; "
            ) + "for the remaining settings no difference from the first was shown.",
        };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Chosen by validation accuracy: {settings}; its test accuracy is {100 * best.Test.Mean:F1} %. "
                + $"{comparison} The best "
                + $"of many settings is partly the luckiest: its own results are slightly too optimistic, and "
                + $"one in twenty comparisons is significant by chance."
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
