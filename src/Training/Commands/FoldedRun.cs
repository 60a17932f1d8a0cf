using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Weights;

namespace TorchBridge.Training.Commands;

/// <summary>A fold's result.</summary>
/// <param name="Fold">From 1.</param>
/// <param name="Accuracy">Share of its pictures that are right, 0 to 1.</param>
/// <param name="Count">Its pictures.</param>
internal sealed record FoldResult(int Fold, double Accuracy, int Count);

/// <summary>K-fold cross-validation: with few pictures one test part says little, and its luck is part of the
/// figure.</summary>
internal static class FoldedRun
{
    /// <summary>
    /// Trains once a fold on the pictures outside it, and tests on it. The data's own test part is left alone.
    /// </summary>
    /// <param name="console">Where each fold is told.</param>
    /// <param name="settings">What is trained; each fold begins anew from them.</param>
    /// <param name="data">Training and validation part together are split.</param>
    /// <param name="folds">How many, at least 2.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <returns>A result a fold.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<FoldResult> Of(
        IAnsiConsole console,
        ModelSettings settings,
        PictureData data,
        int folds,
        CancellationToken stop
    )
    {
        var all = data.Training.With(data.Validation);
        var foldOf = Assign(all.Labels, folds, settings.Seed);
        using var weights = settings.Start is { } start ? PretrainedWeights.Open(start) : null;
        var results = new List<FoldResult>();
        for (var fold = 0; fold < folds; fold++)
        {
            var test = all.Select([.. Enumerable.Range(0, all.Count).Where(i => foldOf[i] == fold)]);
            var order = new Draw(settings.Seed, 53, fold)
                .Permutation(all.Count)
                .Where(i => foldOf[i] != fold)
                .ToArray();
            var forValidation = Math.Max(1, order.Length / 10);
            var part = data with
            {
                Training = all.Select([.. order.Skip(forValidation).Order()]),
                Validation = all.Select([.. order.Take(forValidation).Order()]),
                Test = test,
            };
            using var model = new TrainedModel(settings);
            _ = weights?.LoadInto(model.Network, settings.ClassNames, null);
            var result = new Trainer(model, new SilentObserver()).Train(part, stop: stop);
            if (result.Ending == TrainingResult.StoppedByUser)
                throw new OperationCanceledException(stop);
            results.Add(new FoldResult(fold + 1, Evaluation.Of(model.Classifier, test, stop).Accuracy, test.Count));
            console.WriteLine(
                FormattableString.Invariant(
                    $"fold {fold + 1} of {folds}: accuracy {results[^1].Accuracy:P1} of {test.Count:N0} pictures"
                )
            );
        }

        var mean = results.Average(item => item.Accuracy);
        var spread = Math.Sqrt(results.Sum(item => (item.Accuracy - mean) * (item.Accuracy - mean)) / (folds - 1));
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{folds} folds of {all.Count:N0} pictures: accuracy {mean:P1}, standard deviation "
                    + $"between folds {100 * spread:F1} points, lowest {results.Min(item => item.Accuracy):P1}, "
                    + $"highest {results.Max(item => item.Accuracy):P1}"
            )
        );
        return results;
    }

    /// <summary>The fold of each picture; every class is spread evenly.</summary>
    /// <param name="labels">A class for each picture.</param>
    /// <param name="folds">How many.</param>
    /// <param name="seed">Decides the order within a class.</param>
    /// <returns>A fold, from 0, for each picture; folds differ by one picture at most in all.</returns>
    private static int[] Assign(int[] labels, int folds, int seed)
    {
        var foldOf = new int[labels.Length];
        var next = 0;
        foreach (var group in Enumerable.Range(0, labels.Length).GroupBy(i => labels[i]).OrderBy(group => group.Key))
        {
            var members = group.ToArray();
            if (members.Length < folds)
                throw new UserException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"--folds is {folds}; the smallest class has {members.Length} pictures for "
                            + $"training and validation. Give at most that many folds."
                    )
                );
            foreach (var member in new Draw(seed, 51, group.Key).Permutation(members.Length))
                foldOf[members[member]] = next++ % folds;
        }

        return foldOf;
    }
}
