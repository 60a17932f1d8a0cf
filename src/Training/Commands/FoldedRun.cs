using System.Globalization;
using Spectre.Console;
using TorchBridge.Training.Artifacts;
using TorchBridge.Training.Data;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Weights;

namespace TorchBridge.Training.Commands;

/// <summary>A fold's result.</summary>
/// <param name="Fold">Number of the fold, from 1.</param>
/// <param name="Accuracy">Share of its pictures that are classified correctly, 0 to 1.</param>
/// <param name="Loss">Mean cross entropy over its pictures, without label smoothing.</param>
/// <param name="Count">Number of its pictures.</param>
internal sealed record FoldResult(int Fold, double Accuracy, double Loss, int Count);

/// <summary>K-fold cross-validation: with few pictures, the accuracy on a single test part depends too much on
/// chance.</summary>
internal static class FoldedRun
{
    /// <summary>
    /// For each fold, trains on the pictures outside the fold and tests on the fold. The data's own test part is not
    /// used.
    /// </summary>
    /// <param name="console">Console for the result of each fold.</param>
    /// <param name="settings">Settings of the training; each fold starts from scratch.</param>
    /// <param name="data">The data, whose training and validation parts together are split into folds.</param>
    /// <param name="folds">Number of folds, at least 2.</param>
    /// <param name="stop">Cancels between two steps.</param>
    /// <returns>One result per fold.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
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
            var judged = Evaluation.Of(model.Classifier, test, stop);
            results.Add(new FoldResult(fold + 1, judged.Accuracy, judged.Loss, test.Count));
            console.WriteLine(
                FormattableString.Invariant(
                    $"fold {fold + 1} of {folds}: accuracy {judged.Accuracy:P1} of {test.Count:N0} pictures, loss {judged.Loss:F4}"
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
                    + $"highest {results.Max(item => item.Accuracy):P1}; loss {results.Average(item => item.Loss):F4}"
            )
        );
        return results;
    }

    /// <summary>Assigns each picture to a fold; every class is distributed evenly.</summary>
    /// <param name="labels">Class of each picture.</param>
    /// <param name="folds">Number of folds.</param>
    /// <param name="seed">Seed of the order within a class.</param>
    /// <returns>The fold of each picture, from 0; the sizes of folds differ by at most one picture.</returns>
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
                        $"--folds is {folds}, but the smallest class has only {members.Length} pictures for "
                            + $"training and validation. Use at most that many folds."
                    )
                );
            foreach (var member in new Draw(seed, 51, group.Key).Permutation(members.Length))
                foldOf[members[member]] = next++ % folds;
        }

        return foldOf;
    }
}
