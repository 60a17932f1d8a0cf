// What is said of n runs (seeds) of a variant: mean and standard deviation, and of its differences from the
// reference, pair by pair (the same seed is the same data, the same order): mean d, and the 95 % interval d +-
// t(0.975, n - 1) s / sqrt(n). A technique's effect is the difference that it makes where it is: full minus without,
// or alone minus bare. Source: Student 1908; any text on paired t intervals.
using TorchBridge.Training.Recipes;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Ablation;

/// <summary>The effect of a technique on a figure, with the half width of its 95 % interval; NaN where one seed alone
/// gives none.</summary>
internal sealed record Effect(double Mean, double HalfWidth)
{
    /// <summary>t(0.975) for 1 to 30 degrees of freedom.</summary>
    // csharpier-ignore
    private static readonly double[] Student =
    [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042
    ];

    /// <summary>Whether the interval leaves zero out.</summary>
    public bool IsSignificant => Math.Abs(Mean) > HalfWidth;

    /// <summary>
    /// The mean of paired differences with its 95 % interval, from Student's t with n - 1 degrees of freedom.
    /// </summary>
    /// <param name="differences">Variant minus reference, one for each seed, at least one.</param>
    /// <returns>The effect; its half width is NaN where there is one difference.</returns>
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
/// <param name="Reference">What it is compared with; null for the references.</param>
/// <param name="Runs">Seeds.</param>
/// <param name="Diverged">Runs whose loss was not a number any more.</param>
/// <param name="Training">Accuracy on the training pictures as they are.</param>
/// <param name="Validation">Accuracy on the validation part.</param>
/// <param name="Gap">Training less validation accuracy.</param>
/// <param name="Test">Accuracy on the test part.</param>
/// <param name="Calibration">Expected calibration error on the test part.</param>
/// <param name="BestEpoch">The epoch whose weights were kept, from 1.</param>
/// <param name="Effect">What the technique brought to test accuracy where it stood; null for the references.</param>
/// <param name="GapEffect">What it did to the gap between training and validation accuracy: below zero, it overfits
/// less.</param>
/// <param name="CalibrationEffect">What it did to the expected calibration error.</param>
/// <param name="ValidationCurve">Mean validation accuracy by epoch, over the runs that were still training.</param>
/// <param name="Configuration">What was trained.</param>
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
    /// <summary>What the effect is the effect of: the technique, not its absence.</summary>
    public string Subject =>
        Variant.StartsWith(AblationPlan.Without, StringComparison.Ordinal)
            ? $"{Variant[AblationPlan.Without.Length..]} in the full stack"
            : Variant;

    /// <summary>What may be said of the technique.</summary>
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
    /// <summary>Makes the rows of what has finished; a variant without runs has none.</summary>
    /// <param name="variants">What was to be compared, in the order of the table.</param>
    /// <param name="results">What has finished, by variant and seed.</param>
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
    /// The effect of a technique on one figure, over the seeds that both sides have finished.
    /// </summary>
    /// <param name="name">The variant's name; <c>without ...</c> turns the sign, so that the effect is always the
    /// technique's.</param>
    /// <param name="runs">The variant's runs by seed.</param>
    /// <param name="reference">The reference's runs by seed.</param>
    /// <param name="figure">Which figure is compared.</param>
    /// <returns>The effect, or null where no seed has both.</returns>
    private static Effect? EffectOf(
        string name,
        Dictionary<int, RunResult> runs,
        Dictionary<int, RunResult> reference,
        Func<RunResult, double> figure
    )
    {
        // Taking out asks what was lost, everything else what was gained.
        var sign = name.StartsWith(AblationPlan.Without, StringComparison.Ordinal) ? -1 : 1;
        var differences = runs.Where(run => reference.ContainsKey(run.Key))
            .Select(run => sign * (figure(run.Value) - figure(reference[run.Key])))
            .ToArray();
        return differences.Length == 0 ? null : Effect.Of(differences);
    }

    /// <summary>
    /// The mean of several runs' curves, epoch by epoch, over the runs that have come so far.
    /// </summary>
    /// <param name="curves">A curve a run; early stopping makes them differ in length.</param>
    private static double[] Curve(IReadOnlyList<double>[] curves) =>
        [
            .. Enumerable
                .Range(0, curves.Max(curve => curve.Count))
                .Select(epoch => curves.Where(curve => curve.Count > epoch).Average(curve => curve[epoch])),
        ];
}
