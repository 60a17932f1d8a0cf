using System.Globalization;
using System.Text;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Lab;
using TorchBridge.Training.Packaging;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Ablation;

/// <summary>Writes the result of an ablation as JSON, CSV, Markdown, plots and an HTML page.</summary>
internal static class AblationReport
{
    private static readonly string[] Head =
    [
        "variant",
        "n",
        "training",
        "validation",
        "gap",
        "test",
        "calibration error",
        "epochs to best",
        "effect of the technique on test",
        "95 % interval",
        "the technique",
    ];
    private static readonly string[] Files =
    [
        "ablation.json",
        "ablation.csv",
        "ablation.md",
        "ablation.svg",
        "ablation.png",
        "ablation.html",
    ];
    private static readonly string[] EffectHead = ["technique", "test accuracy", "gap", "calibration error"];
    private const string EffectCaption =
        "The effect of each technique, paired by seed, in percentage points with the 95 % interval (* "
        + "significant); for the gap and the calibration error, lower is better";

    /// <summary>Writes all files, replacing the previous report.</summary>
    /// <param name="folder">The folder, which must exist.</param>
    /// <param name="subtitle">Data, pictures, network, epochs, seeds.</param>
    /// <param name="rows">The table.</param>
    /// <returns>The files.</returns>
    public static IReadOnlyList<string> Write(string folder, string subtitle, IReadOnlyList<AblationRow> rows)
    {
        ModelFileSet.Publish(folder, staged =>
        {
            string File(string name) => Path.Combine(staged, name);
            AtomicWrite.Text(
                File("ablation.json"),
                Json.Text(
                    new
                    {
                        About = subtitle,
                        Rows = rows,
                        Versions = Versions.All,
                    }
                ) + "\n"
            );
            AtomicWrite.Text(File("ablation.csv"), Csv(rows));
            AtomicWrite.Text(File("ablation.md"), Markdown(subtitle, rows));
            new Figure("ablation", 900, PlotHeight(rows)) { Plot = () => Ranked(rows) }.Write(File("ablation"));
            LabOutput.WriteHtml(File("ablation.html"), "Ablation: what each technique brings", subtitle, Pages(rows));
        });
        return [.. Files.Select(name => Path.Combine(folder, name))];
    }

    /// <summary>The table for the terminal.</summary>
    /// <param name="rows">The variants, references first.</param>
    /// <returns>A table with one row per variant; shares are in percent with their standard deviation over
    /// seeds.</returns>
    public static Table Table(IReadOnlyList<AblationRow> rows)
    {
        var table = new Table().AddColumns(Head);
        foreach (var row in rows)
            table.AddRow([.. Cells(row).Select(Markup.Escape)]);
        return table;
    }

    /// <summary>Describes the findings.</summary>
    /// <param name="rows">The variants with their effects.</param>
    /// <returns>Sentences about accuracy, gap and calibration: what is significant, what is not, what did not help,
    /// and what diverged.</returns>
    public static string Findings(IReadOnlyList<AblationRow> rows)
    {
        var compared = rows.Where(row => row.Effect is not null).ToArray();
        string Names(string verdict) =>
            string.Join(
                ", ",
                compared
                    .Where(row => row.Verdict == verdict)
                    .Select(row => $"{row.Subject} ({Points(row.Effect!.Mean)})")
                    .DefaultIfEmpty("none")
            );
        string Significant(Func<AblationRow, Effect?> figure, int sign) =>
            string.Join(
                ", ",
                compared
                    .Where(row => figure(row) is { IsSignificant: true } effect && Math.Sign(effect.Mean) == sign)
                    .Select(row => $"{row.Subject} ({Points(figure(row)!.Mean)})")
                    .DefaultIfEmpty("none")
            );
        var diverged = rows.Where(row => row.Diverged > 0)
            .Select(row => $"{row.Variant} ({row.Diverged} of {row.Runs})")
            .ToArray();
        var negative = compared
            .Where(row => row.Effect!.Mean <= 0 && row.Verdict != "did harm")
            .Select(row => row.Subject)
            .ToArray();
        return string.Join(
            " ",
            new[]
            {
                $"Significant at 95 % and positive: {Names("helped")}.",
                $"Significant and negative: {Names("did harm")}.",
                "The gap between training and validation is significantly smaller with: "
                    + $"{Significant(row => row.GapEffect, -1)}; larger with: "
                    + $"{Significant(row => row.GapEffect, 1)}.",
                "The calibration error is significantly smaller with: "
                    + $"{Significant(row => row.CalibrationEffect, -1)}; larger with: "
                    + $"{Significant(row => row.CalibrationEffect, 1)}.",
                compared.Any(row => row.Verdict == "not significant")
                    ? "Not significant, one way or the other: "
                        + $"{string.Join(", ", compared.Where(row => row.Verdict == "not significant").Select(row => row.Subject))}."
                    : "",
                negative.Length > 0 ? $"Did not help here, on average: {string.Join(", ", negative)}." : "",
                diverged.Length > 0
                    ? $"Diverged, and counted with the accuracy of guessing: {string.Join(", ", diverged)}."
                    : "",
                rows.Count > 0 && rows[0].Runs == 3
                    ? "With three seeds, a 95 % interval extends about 2.5 standard deviations of a difference "
                        + "to either side, so only large effects can be significant; and of twenty "
                        + "comparisons without any effect, one is significant by chance."
                    : "",
            }.Where(sentence => sentence.Length > 0)
        );
    }

    /// <summary>Summarizes the plot in three sentences.</summary>
    /// <param name="rows">The variants with their effects.</param>
    /// <returns>Three sentences: what certainly helped, what certainly harmed, and in how many comparisons the
    /// interval contains zero.</returns>
    public static string Summary(IReadOnlyList<AblationRow> rows)
    {
        var compared = rows.Where(row => row.Effect is not null).OrderByDescending(row => row.Effect!.Mean).ToArray();
        string Names(string verdict) =>
            string.Join(
                ", ",
                compared
                    .Where(row => row.Verdict == verdict)
                    .Select(row => $"{row.Subject} ({Points(row.Effect!.Mean)} points)")
                    .DefaultIfEmpty("nothing")
            );
        var open = compared.Count(row => row.Verdict is not ("helped" or "did harm"));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Test accuracy certainly rose with: {Names("helped")}. It certainly fell with: {Names("did harm")}. In the "
                + $"other {open} of {compared.Length} comparisons the interval contains zero: with so few seeds, "
                + $"these techniques may help, harm, or have no effect."
        );
    }

    /// <summary>The sections of the page.</summary>
    /// <param name="rows">The variants with their effects.</param>
    /// <returns>The sections in order: the ranked effects with three sentences, then all results and
    /// settings.</returns>
    public static IReadOnlyList<LabPage> Pages(IReadOnlyList<AblationRow> rows) =>
        [
            new LabPage("result", "The effect of each technique", Summary(rows))
            {
                OpensWithPicture = true,
                Figures = [new Figure("effects", 900, PlotHeight(rows)) { Plot = () => Ranked(rows) }],
            },
            new LabPage("figures", "All results", Findings(rows))
            {
                Tables =
                [
                    new LabTable(
                        "Means over the seeds, plus or minus one standard deviation; an effect is the "
                            + "paired difference in test accuracy, in percentage points",
                        Head,
                        [.. rows.Select(Cells)]
                    ),
                    new LabTable(EffectCaption, EffectHead, Effects(rows)),
                ],
            },
            new LabPage(
                "curves",
                "Learning curves",
                "Validation accuracy by epoch, mean over the seeds: first the full stack and the full stack "
                    + "without one technique, then the bare network and one technique alone. A line that "
                    + "ends early is a run that was stopped early."
            )
            {
                Figures =
                [
                    .. ((string[])[AblationPlan.Full, AblationPlan.Bare]).Select(reference => new Figure(
                        reference,
                        940,
                        560
                    )
                    {
                        Plot = () =>
                            LabPlots.Lines(
                                reference == AblationPlan.Full
                                    ? "The full stack, and without one technique"
                                    : "The bare network, and one technique alone",
                                "epoch",
                                "validation accuracy, %",
                                [
                                    .. rows.Where(row => row.Variant == reference || row.Reference == reference)
                                        .Select(row => new Curve(
                                            row.Variant,
                                            row.ValidationCurve.Select(
                                                (accuracy, epoch) => (epoch + 1.0, 100 * accuracy)
                                            )
                                        )),
                                ],
                                lowY: 0
                            ),
                    }),
                ],
            },
            new LabPage(
                "settings",
                "How to reproduce it",
                "Settings for --config. Every other variant is one of these two with one technique removed or added."
            )
            {
                Texts =
                [
                    ("The full stack", Settings(rows, AblationPlan.Full)),
                    ("The bare network", Settings(rows, AblationPlan.Bare)),
                ],
            },
        ];

    /// <summary>
    /// The configuration of a variant as JSON, for the page, or a note that it was not run.
    /// </summary>
    /// <param name="rows">The table.</param>
    /// <param name="name">The variant.</param>
    private static string Settings(IReadOnlyList<AblationRow> rows, string name) =>
        rows.FirstOrDefault(row => row.Variant == name) is { } row ? Json.Text(row.Configuration) : "Not run.";

    /// <summary>
    /// Height of the ranked plot in pixels: 24 per bar, for at least four bars, and 120 for axes and title.
    /// </summary>
    /// <param name="rows">The table; only rows with an effect have a bar.</param>
    private static int PlotHeight(IReadOnlyList<AblationRow> rows) =>
        120 + (24 * Math.Max(4, rows.Count(row => row.Effect is not null)));

    /// <summary>Effects with their intervals, the largest on top.</summary>
    private static PlotModel Ranked(IReadOnlyList<AblationRow> rows)
    {
        var ranked = rows.Where(row => row.Effect is not null).OrderByDescending(row => row.Effect!.Mean).ToArray();
        var plot = PlotStyle.Plot(
            "Effect on test accuracy, percentage points, with 95 % interval",
            "grey: not significant"
        );
        var names = new CategoryAxis
        {
            Position = AxisPosition.Left,
            StartPosition = 1,
            EndPosition = 0,
        };
        var bars = new ErrorBarSeries { ErrorWidth = 0.3, StrokeThickness = 0 };
        foreach (var row in ranked)
        {
            names.Labels.Add(row.Subject);
            bars.Items.Add(
                new ErrorBarItem(
                    100 * row.Effect!.Mean,
                    double.IsNaN(row.Effect.HalfWidth) ? 0 : 100 * row.Effect.HalfWidth
                )
                {
                    Color = row.Effect.IsSignificant ? OxyColors.SteelBlue : OxyColors.LightGray,
                }
            );
        }

        plot.Axes.Add(names);
        plot.Axes.Add(PlotStyle.Axis(false, AxisPosition.Bottom, "percentage points"));
        plot.Series.Add(bars);
        return plot;
    }

    /// <summary>The cells of a row, in the order of the table's columns.</summary>
    /// <param name="row">A variant.</param>
    /// <returns>Cell texts, with shares in percent.</returns>
    private static string[] Cells(AblationRow row) =>
        [
            row.Variant,
            N(row.Runs),
            P(row.Training),
            P(row.Validation),
            P(row.Gap),
            P(row.Test),
            P(row.Calibration),
            string.Create(CultureInfo.InvariantCulture, $"{row.BestEpoch.Mean:F1}"),
            row.Effect is { } effect ? Points(effect.Mean) : "",
            row.Effect is { HalfWidth: not double.NaN } known
                ? $"{Points(known.Mean - known.HalfWidth)} to {Points(known.Mean + known.HalfWidth)}"
                : "",
            row.Verdict + (row.Diverged > 0 ? $" (diverged: {row.Diverged})" : ""),
        ];

    /// <summary>
    /// The second table: the effect of each technique on test accuracy, gap and calibration, with intervals.
    /// </summary>
    /// <param name="rows">The table; references have no effect and no row.</param>
    private static string[][] Effects(IReadOnlyList<AblationRow> rows) =>
        [
            .. rows.Where(row => row.Effect is not null)
                .Select(row =>
                    (string[])
                        [row.Subject, Interval(row.Effect!), Interval(row.GapEffect!), Interval(row.CalibrationEffect!)]
                ),
        ];

    /// <summary>
    /// An effect in percentage points with its 95 % interval; a star if the interval excludes zero.
    /// </summary>
    /// <param name="effect">The effect; with a single seed the interval is omitted.</param>
    private static string Interval(Effect effect) =>
        Points(effect.Mean)
        + (
            double.IsNaN(effect.HalfWidth)
                ? ""
                : $" ({Points(effect.Mean - effect.HalfWidth)} to "
                    + $"{Points(effect.Mean + effect.HalfWidth)}){(effect.IsSignificant ? " *" : "")}"
        );

    /// <summary>The report as Markdown: findings, table and effects.</summary>
    /// <param name="subtitle">Data, pictures, network, epochs and seeds.</param>
    /// <param name="rows">The table.</param>
    private static string Markdown(string subtitle, IReadOnlyList<AblationRow> rows)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Ablation\n\n{subtitle}\n\n{Findings(rows)}\n\n");
        Append(Head, [.. rows.Select(Cells)]);
        text.Append(CultureInfo.InvariantCulture, $"\n{EffectCaption}:\n\n");
        Append(EffectHead, Effects(rows));
        return text.ToString();

        void Append(string[] head, string[][] cells)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {string.Join(" | ", head)} |\n|{string.Concat(head.Select(_ => "---|"))}\n"
            );
            foreach (var line in cells)
                text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", line)} |\n");
        }
    }

    /// <summary>
    /// The table for other programs: one column per number, shares from 0 to 1, a decimal point, empty if there is no
    /// value.
    /// </summary>
    /// <param name="rows">The table.</param>
    private static string Csv(IReadOnlyList<AblationRow> rows)
    {
        var text = new StringBuilder(
            "variant,reference,runs,diverged,training,training_sd,validation,validation_sd,gap,gap_sd,test,test_sd,"
                + "calibration_error,best_epoch,effect,half_width,gap_effect,gap_half_width,calibration_effect,"
                + "calibration_half_width,verdict\n"
        );
        foreach (var row in rows)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"{row.Variant},{row.Reference},{row.Runs},{row.Diverged},{row.Training.Mean:R},"
                    + $"{row.Training.Deviation:R},{row.Validation.Mean:R},{row.Validation.Deviation:R},"
                    + $"{row.Gap.Mean:R},{row.Gap.Deviation:R},{row.Test.Mean:R},{row.Test.Deviation:R},"
                    + $"{row.Calibration.Mean:R},{row.BestEpoch.Mean:R},{row.Effect?.Mean:R},"
                    + $"{row.Effect?.HalfWidth:R},{row.GapEffect?.Mean:R},{row.GapEffect?.HalfWidth:R},"
                    + $"{row.CalibrationEffect?.Mean:R},{row.CalibrationEffect?.HalfWidth:R},{row.Verdict}\n"
            );
        }

        return text.ToString();
    }

    private static string N(int value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>
    /// A share in percent, one decimal, with its standard deviation over the seeds.
    /// </summary>
    /// <param name="spread">The share's mean and deviation, 0 to 1.</param>
    private static string P(Spread spread) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * spread.Mean:F1} ± {100 * spread.Deviation:F1}");

    /// <summary>A difference of shares in percentage points, always with a sign.</summary>
    /// <param name="share">The difference, -1 to 1.</param>
    private static string Points(double share) => (100 * share).ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);
}
