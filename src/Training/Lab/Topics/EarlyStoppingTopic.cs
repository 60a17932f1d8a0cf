using System.Globalization;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Regularization;
using TorchBridge.Training.Reports;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>An overfitting run, and where early stopping ends it.</summary>
internal static class EarlyStoppingTopic
{
    private const int Patience = 5,
        Pictures = 300;

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context) with { Norm = NormKind.None });
        var history = LabTrainer.Train(
            network,
            context,
            new LabSettings
            {
                Epochs = 40,
                Pictures = Pictures,
                BatchSize = 16,
                LearningRate = 0.001,
            }
        );
        var stopping = new EarlyStopping(Patience);
        var (best, stop) = (history[0], history[^1]);
        foreach (var epoch in history)
        {
            if (stopping.Improved(epoch.ValidationLoss))
                best = epoch;
            if (!stopping.ShouldStop)
                continue;
            stop = epoch;
            break;
        }

        string[] Row(string name, LabEpoch epoch) =>
            [
                name,
                epoch.Epoch.ToString(CultureInfo.InvariantCulture),
                epoch.TrainingLoss.ToString("F4", CultureInfo.InvariantCulture),
                epoch.ValidationLoss.ToString("F4", CultureInfo.InvariantCulture),
                epoch.ValidationAccuracy.ToString("P1", CultureInfo.InvariantCulture),
            ];
        return new LabPage(
            "early-stopping",
            "Early stopping: when more training only memorizes the training pictures",
            string.Create(
                CultureInfo.InvariantCulture,
                $"Without normalization or regularization and with {Pictures} pictures, the training loss goes to "
                    + $"zero, and the network grows ever more confident in what it has memorized. The validation "
                    + $"loss is lowest at epoch {best.Epoch} (the best so far when training was stopped); compare "
                    + $"it with the loss at the end. Accuracy often rises for a while longer, because it ignores "
                    + $"how confident a wrong answer was. "
            )
                + "Patience counts the epochs without a new best; when it runs out, training ends and the "
                + "weights of the best epoch are kept. The watched figure is the validation loss; the test "
                + "part is not used."
        )
        {
            Tables =
            [
                new LabTable(
                    $"ModernCNN, {context.Network}, no normalization, no regularization, {Pictures} pictures, patience {Patience}",
                    ["", "epoch", "training loss", "validation loss", "validation accuracy"],
                    [Row("best, kept", best), Row("stopped", stop), Row("without stopping", history[^1])]
                ),
            ],
            Figures =
            [
                new Figure("early-stopping", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            $"Best at epoch {best.Epoch}, stopped at {stop.Epoch} ({context.Network})",
                            "epoch",
                            "loss",
                            [
                                new Curve(
                                    "training",
                                    history.Select(epoch => ((double)epoch.Epoch, epoch.TrainingLoss))
                                ),
                                new Curve(
                                    "validation",
                                    history.Select(epoch => ((double)epoch.Epoch, epoch.ValidationLoss))
                                ),
                                new Curve(
                                    "kept",
                                    [(best.Epoch, 0), (best.Epoch, history.Max(epoch => epoch.ValidationLoss))]
                                ),
                                new Curve(
                                    "stopped",
                                    [(stop.Epoch, 0), (stop.Epoch, history.Max(epoch => epoch.ValidationLoss))],
                                    Dashed: true
                                ),
                            ],
                            lowY: 0
                        ),
                },
            ],
        };
    }
}
