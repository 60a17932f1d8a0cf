using System.Globalization;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>A penalty in the loss compared with decoupled decay, both with Adam.</summary>
internal static class WeightDecayTopic
{
    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var runs = ((string Name, LabSettings Settings)[])
            [
                ("none", new LabSettings()),
                ("penalty in the loss, 0.01", new LabSettings { Penalty = 0.01 }),
                ("decoupled (AdamW), 0.01", new LabSettings { DecoupledDecay = 0.01 }),
                ("decoupled (AdamW), 1", new LabSettings { DecoupledDecay = 1 }),
            ];
        var trained = runs.Select(run => (run.Name, Result: Train(context, run.Settings))).ToArray();
        return new LabPage(
            "weight-decay",
            "Weight decay: in the loss, or decoupled from it",
            "With plain gradient descent the two are equivalent. Adam divides each gradient by its own "
                + "magnitude, including the penalty's part: weights with large gradients then hardly decay, and "
                + "those with small ones are pulled to zero, whatever lambda is. AdamW subtracts lr x lambda x w "
                + "from the weight directly. So the same 0.01 means two different things: the norm of the weights "
                + "falls with the penalty and hardly moves with AdamW, where lr x lambda is 2e-5 per step."
        )
        {
            Tables =
            [
                new LabTable(
                    $"ModernCNN, {context.Network}, 8 epochs, learning rate 0.002",
                    [
                        "decay",
                        "norm of the weights at the start",
                        "at the end",
                        "training accuracy",
                        "validation accuracy",
                    ],
                    [
                        .. trained.Select(run =>
                            (string[])
                                [
                                    run.Name,
                                    G(run.Result.Norms[0].Y),
                                    G(run.Result.Norms[^1].Y),
                                    P(run.Result.History[^1].TrainingAccuracy),
                                    P(run.Result.History[^1].ValidationAccuracy),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("weight-decay", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            $"Norm of all convolution weights ({context.Network})",
                            "step",
                            "norm",
                            [.. trained.Select(run => new Curve(run.Name, run.Result.Norms))],
                            lowY: 0
                        ),
                },
            ],
        };
    }

    /// <summary>Trains with one kind of decay.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="settings">Training settings, including the decay.</param>
    /// <returns>The history, and the norm of all weights by step.</returns>
    private static (IReadOnlyList<LabEpoch> History, List<(double X, double Y)> Norms) Train(
        LabContext context,
        LabSettings settings
    )
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context));
        var convolutions = network.modules().OfType<CastingConv2d>().ToArray();
        double Norm()
        {
            using var scope = NewDisposeScope();
            return Math.Sqrt(convolutions.Sum(convolution => convolution.Weight.detach().square().sum().ToDouble()));
        }

        var norms = new List<(double, double)> { (0, Norm()) };
        var history = LabTrainer.Train(network, context, settings, step =>
        {
            if (step % 6 == 0)
                norms.Add((step, Norm()));
        });
        return (history, norms);
    }

    private static string G(double value) => value.ToString("F2", CultureInfo.InvariantCulture);

    private static string P(double value) => value.ToString("P1", CultureInfo.InvariantCulture);
}
