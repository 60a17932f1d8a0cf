using System.Globalization;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>Repeats a lab run with several seeds, since a single run's result is partly chance.</summary>
internal static class LabSeeds
{
    /// <summary>Number of seeds.</summary>
    public const int Count = 2;

    /// <summary>Runs with each seed.</summary>
    /// <typeparam name="T">Result of a run.</typeparam>
    /// <param name="context">The topic's context; its seed is the first one.</param>
    /// <param name="run">The experiment.</param>
    public static T[] Of<T>(LabContext context, Func<LabContext, T> run) =>
        [.. Enumerable.Range(0, Count).Select(i => run(context with { Seed = context.Seed + i }))];

    /// <summary>Mean and standard deviation of fractions, in percent: <c>87.2 ± 1.3 %</c>.</summary>
    /// <param name="shares">From 0 to 1, one for each seed.</param>
    public static string Percent(IReadOnlyCollection<double> shares)
    {
        var spread = Spread.Of(shares);
        return string.Create(CultureInfo.InvariantCulture, $"{100 * spread.Mean:F1} ± {100 * spread.Deviation:F1} %");
    }

    /// <summary>Mean curve of several runs, in percent, by epoch.</summary>
    /// <param name="runs">Histories of the runs; the mean ends where the shortest does.</param>
    /// <param name="share">Selects a figure of an epoch, 0 to 1.</param>
    public static IEnumerable<(double X, double Y)> Mean(
        IReadOnlyList<IReadOnlyList<LabEpoch>> runs,
        Func<LabEpoch, double> share
    ) =>
        Enumerable
            .Range(0, runs.Min(run => run.Count))
            .Select(i => ((double)runs[0][i].Epoch, 100 * runs.Average(run => share(run[i]))));
}
