using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>The highest learning rate that still trains, with and without BatchNorm.</summary>
internal static class LearningRateTopic
{
    private static readonly double[] Rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1];
    private const int Epochs = 10;

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var sweep = ((NormKind Norm, string Name)[])[(NormKind.Batch, "with BatchNorm"), (NormKind.None, "without")];
        var found = sweep
            .Select(item => (item.Name, Losses: Rates.Select(rate => Loss(context, item.Norm, rate)).ToArray()))
            .ToArray();
        var guess = Math.Log(context.Data.Classes);
        string Highest(double[] losses) =>
            Numbers.Short(
                Rates
                    .Zip(losses)
                    .Where(pair => pair.Second < 0.9 * guess)
                    .Select(pair => pair.First)
                    .DefaultIfEmpty(0)
                    .Max()
            );
        return new LabPage(
            "learning-rate",
            "How large a step BatchNorm allows",
            "A sweep over learning rates, ten epochs of SGD with momentum each. The loss falls as the steps "
                + "grow, until they are too large: then it stays at the level of guessing or becomes NaN (the line "
                + "ends). Before a BatchNorm the scale of a weight does not matter, so a step that is too large "
                + "makes the weights larger and the next step relatively smaller: the network stabilizes itself. "
                + "Compare where the two lines turn upwards."
        )
        {
            Tables =
            [
                new LabTable(
                    $"Training loss after {Epochs} epochs; guessing has "
                        + $"{guess.ToString("F2", CultureInfo.InvariantCulture)}; ModernCNN, {context.Network}, "
                        + "SGD with momentum 0.9",
                    ["", .. Rates.Select(rate => Numbers.Short(rate)), "highest that trains"],
                    [
                        .. found.Select(item =>
                            (string[])
                                [
                                    item.Name,
                                    .. item.Losses.Select(loss =>
                                        double.IsFinite(loss)
                                            ? loss.ToString("F3", CultureInfo.InvariantCulture)
                                            : "diverged"
                                    ),
                                    Highest(item.Losses),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("learning-rate", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            $"Training loss after {Epochs} epochs ({context.Network})",
                            "learning rate",
                            "loss",
                            [.. found.Select(item => new Curve(item.Name, Rates.Zip(item.Losses)))],
                            logX: 10,
                            lowY: 0,
                            highY: 3
                        ),
                },
            ],
        };
    }

    /// <summary>
    /// Training loss after a short run at one learning rate; not finite if the run diverged.
    /// </summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="norm">The normalization after each convolution.</param>
    /// <param name="rate">The learning rate.</param>
    private static double Loss(LabContext context, NormKind norm, double rate)
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context) with { Norm = norm });
        return LabTrainer
            .Train(
                network,
                context,
                new LabSettings
                {
                    Epochs = Epochs,
                    BatchSize = 16,
                    LearningRate = rate,
                    Sgd = true,
                    ValidateAtEndOnly = true,
                }
            )[^1]
            .TrainingLoss;
    }
}
