// Statistics of n runs (seeds) of a variant: mean and standard deviation; and of its differences from the reference,
// paired by seed (the same seed means the same data in the same order): mean d, and the 95 % interval
// d +- t(0.975, n - 1) s / sqrt(n). A technique's effect is the difference that it makes where it is used: full minus
// without, or alone minus bare. Source: Student 1908; any textbook on paired t intervals.
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Ablation;

/// <summary>The effect of a technique on a measure, with the half width of its 95 % interval; NaN if there is only
/// one seed.</summary>
internal sealed record Effect(double Mean, double HalfWidth)
{
    /// <summary>t(0.975) for 1 to 30 degrees of freedom.</summary>
    // csharpier-ignore
    private static readonly double[] Student =
    [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042
    ];

    /// <summary>Whether the interval excludes zero.</summary>
    public bool IsSignificant => Math.Abs(Mean) > HalfWidth;

    /// <summary>
    /// The mean of paired differences with its 95 % interval, from Student's t with n - 1 degrees of freedom.
    /// </summary>
    /// <param name="differences">Variant minus reference, one for each seed, at least one.</param>
    /// <returns>The effect; its half width is NaN if there is only one difference.</returns>
    public static Effect Of(IReadOnlyCollection<double> differences)
    {
        var spread = Spread.Of(differences);
        var pairs = differences.Count;
        return new Effect(
            spread.Mean,
            pairs < 2
                ? double.NaN
                : Student[Math.Min(pairs - 2, Student.Length - 1)] * spread.Deviation / Math.Sqrt(pairs)
        );
    }
}

/// <summary>A row of the table.</summary>
/// <param name="Variant">Its name.</param>
/// <param name="Reference">The variant with which it is compared; null for the references.</param>
/// <param name="Runs">Number of runs (seeds).</param>
/// <param name="Diverged">Number of runs whose loss became NaN or infinite.</param>
/// <param name="Training">Accuracy on the unchanged training pictures.</param>
/// <param name="Validation">Accuracy on the validation part.</param>
/// <param name="Gap">Training accuracy minus validation accuracy.</param>
/// <param name="Test">Accuracy on the test part.</param>
/// <param name="Calibration">Expected calibration error on the test part.</param>
/// <param name="BestEpoch">The epoch whose weights were kept, from 1.</param>
/// <param name="Effect">The technique's effect on test accuracy; null for the references.</param>
/// <param name="GapEffect">Its effect on the gap between training and validation accuracy; below zero means less
/// overfitting.</param>
/// <param name="CalibrationEffect">Its effect on the expected calibration error.</param>
/// <param name="ValidationCurve">Mean validation accuracy by epoch, over the runs that were still training.</param>
/// <param name="Configuration">The trained configuration.</param>
internal sealed record AblationRow(
    string Variant,
    string? Reference,
    int Runs,
    int Diverged,
    Spread Training,
    Spread Validation,
    Spread Gap,
    Spread Test,
    Spread Calibration,
    Spread BestEpoch,
    Effect? Effect,
    Effect? GapEffect,
    Effect? CalibrationEffect,
    IReadOnlyList<double> ValidationCurve,
    RunConfiguration Configuration
)
{
    /// <summary>The technique to which the effect belongs (not its absence).</summary>
    public string Subject =>
        Variant.StartsWith(AblationPlan.Without, StringComparison.Ordinal)
            ? $"{Variant[AblationPlan.Without.Length..]} in the full stack"
            : Variant;

    /// <summary>The verdict on the technique.</summary>
    public string Verdict =>
        Effect switch
        {
            null => "",
            { HalfWidth: double.NaN } => "one seed: no interval",
            { IsSignificant: false } => "not significant",
            { Mean: > 0 } => "helped",
            _ => "did harm",
        };
}

/// <summary>The table of an ablation.</summary>
internal static class AblationSummary
{
    /// <summary>Creates the rows of all variants with finished runs.</summary>
    /// <param name="variants">The variants, in the order of the table.</param>
    /// <param name="results">The finished runs, by variant and seed.</param>
    /// <returns>A row for each variant with a finished run. Effects pair the seeds that both the variant and its
    /// reference have.</returns>
    public static IReadOnlyList<AblationRow> Of(
        IReadOnlyList<Variant> variants,
        IReadOnlyDictionary<(string Variant, int Seed), RunResult> results
    )
    {
        var bySeed = variants.ToDictionary(
            variant => variant.Name,
            variant =>
                results
                    .Where(pair => pair.Key.Variant == variant.Name)
                    .OrderBy(pair => pair.Key.Seed)
                    .ToDictionary(pair => pair.Key.Seed, pair => pair.Value),
            StringComparer.Ordinal
        );
        var rows = new List<AblationRow>();
        foreach (var variant in variants)
        {
            var runs = bySeed[variant.Name];
            if (runs.Count == 0)
                continue;
            Spread Over(Func<RunResult, double> figure) => Spread.Of([.. runs.Values.Select(figure)]);
            Effect? Paired(Func<RunResult, double> figure) =>
                variant.Reference is { } reference ? EffectOf(variant.Name, runs, bySeed[reference], figure) : null;
            rows.Add(
                new AblationRow(
                    variant.Name,
                    variant.Reference,
                    runs.Count,
                    runs.Values.Count(run => run.Diverged),
                    Over(run => run.TrainingAccuracy),
                    Over(run => run.ValidationAccuracy),
                    Over(run => run.TrainingAccuracy - run.ValidationAccuracy),
                    Over(run => run.TestAccuracy),
                    Over(run => run.CalibrationError),
                    Over(run => run.BestEpoch),
                    Paired(run => run.TestAccuracy),
                    Paired(run => run.TrainingAccuracy - run.ValidationAccuracy),
                    Paired(run => run.CalibrationError),
                    Curve([.. runs.Values.Select(run => run.ValidationCurve)]),
                    variant.Configuration
                )
            );
        }

        return rows;
    }

    /// <summary>
    /// The effect of a technique on one measure, over the seeds for which both runs are finished.
    /// </summary>
    /// <param name="name">The variant's name; <c>without ...</c> inverts the sign, so that the effect is always that
    /// of the technique.</param>
    /// <param name="runs">The variant's runs by seed.</param>
    /// <param name="reference">The reference's runs by seed.</param>
    /// <param name="figure">Selects the measure.</param>
    /// <returns>The effect, or null if no seed has both runs.</returns>
    private static Effect? EffectOf(
        string name,
        Dictionary<int, RunResult> runs,
        Dictionary<int, RunResult> reference,
        Func<RunResult, double> figure
    )
    {
        // For a removed technique the effect is the loss, otherwise the gain.
        var sign = name.StartsWith(AblationPlan.Without, StringComparison.Ordinal) ? -1 : 1;
        var differences = runs.Where(run => reference.ContainsKey(run.Key))
            .Select(run => sign * (figure(run.Value) - figure(reference[run.Key])))
            .ToArray();
        return differences.Length == 0 ? null : Effect.Of(differences);
    }

    /// <summary>
    /// The mean of several curves, epoch by epoch, over the runs that reached that epoch.
    /// </summary>
    /// <param name="curves">One curve per run; their lengths differ because of early stopping.</param>
    private static double[] Curve(IReadOnlyList<double>[] curves) =>
        [
            .. Enumerable
                .Range(0, curves.Max(curve => curve.Count))
                .Select(epoch => curves.Where(curve => curve.Count > epoch).Average(curve => curve[epoch])),
        ];
}
