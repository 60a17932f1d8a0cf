using System.Globalization;
using System.Numerics;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Recipes;

namespace TorchBridge.Training.Commands;

/// <summary>Advice about a run that is possible, but probably not what its user wants.</summary>
internal static class TrainingHints
{
    /// <summary>With fewer training pictures, a network that starts from random weights rarely gets far.</summary>
    private const int Few = 2000;

    /// <summary>With fewer steps in an epoch, a run ends before the network has learned anything.</summary>
    private const int FewSteps = 10;

    private const int SmallestBatch = 8;

    /// <summary>One line for each hint.</summary>
    /// <param name="settings">Settings of a new run on pictures of the user's own.</param>
    /// <param name="pictures">Number of training pictures.</param>
    public static IEnumerable<string> Of(ModelSettings settings, int pictures)
    {
        if (pictures < Few && settings.Start is null && settings.Network.Kind == NetworkKind.ModernCnn)
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"{pictures:N0} training pictures are few for a network that starts from random weights. For photos, "
                    + $"`--recipe photos` starts from a network trained on ImageNet, which is usually far more accurate."
            );
        var batch = settings.Recipe.BatchSize;
        var smaller = Math.Max(
            SmallestBatch,
            (int)BitOperations.RoundUpToPowerOf2((uint)(pictures / FewSteps) + 1) / 2
        );
        if (Steps(pictures, batch) < FewSteps && smaller < batch && settings.Recipe.Tuning.What != TuneKind.Head)
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Steps per epoch with batches of {batch} pictures: {Steps(pictures, batch)}, which is few. "
                    + $"`--batch {smaller}` makes {Steps(pictures, smaller)}."
            );
    }

    private static int Steps(int pictures, int batch) => (int)(((long)pictures + batch - 1) / batch);
}
