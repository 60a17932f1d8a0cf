using System.Globalization;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>Standard, spatial and alpha dropout: masks, statistics, and a network trained with each.</summary>
internal static class DropoutTopic
{
    private static readonly double[] Probabilities = [0.1, 0.3, 0.5, 0.7];

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var shares = Probabilities
            .Select(p =>
                (
                    P: p,
                    Standard: Measure(nn.Dropout(p), 0),
                    Spatial: Measure(nn.Dropout2d(p), 0),
                    Alpha: Measure(nn.AlphaDropout(p), AlphaValue(p))
                )
            )
            .ToArray();
        var runs = ((string Name, DropoutKind? Kind)[])
            [
                ("none", null),
                ("standard", DropoutKind.Standard),
                ("spatial", DropoutKind.Spatial),
                ("alpha", DropoutKind.Alpha),
            ];
        using var stripes = LabTextures.For(context);
        context = context with { Data = stripes };
        var trained = runs.Select(run => (run.Name, Histories: LabSeeds.Of(context, seeded => Train(seeded, run.Kind))))
            .ToArray();
        Spread Final(IReadOnlyList<LabEpoch>[] histories) =>
            Spread.Of([.. histories.Select(history => history[^1].ValidationAccuracy)]);
        var without = Final(trained[0].Histories);
        var visible = trained
            .Skip(1)
            .Select(item => (item.Name, Figures: Final(item.Histories)))
            .Where(item => Math.Abs(item.Figures.Mean - without.Mean) > item.Figures.Deviation + without.Deviation)
            .Select(item =>
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{item.Name} ({100 * (item.Figures.Mean - without.Mean):+0.0;-0.0} points)"
                )
            )
            .ToArray();
        return new LabPage(
            "dropout",
            "Dropout: single values, whole channels, or SELU's variant",
            "The masks show the difference: standard dropout punches holes whose values can still be guessed "
                + "from their neighbours in the map; spatial dropout removes whole channels, so nothing is left to "
                + "guess from; alpha dropout sets values to SELU's negative limit and rescales the rest, so that "
                + "mean and variance stay where a self-normalizing network needs them. In eval mode all three do "
                + "nothing. The lesson says that dropout is not needed after BatchNorm in convolutional networks. "
                + (
                    visible.Length == 0
                        ? "This run confirms it: no validation accuracy differs from the one without dropout by "
                            + "more than the spread between seeds. "
                        : $"In this run the validation accuracy differs by more than the spread between seeds "
                            + $"with: {string.Join(", ", visible)}. "
                )
                + "Training accuracy (dashed) is lower with dropout because it is measured while values are dropped."
        )
        {
            Tables =
            [
                new LabTable(
                    "Standard normal numbers [64, 32, 8, 8] after dropout in train mode: share dropped, mean, variance",
                    ["p", "standard", "mean", "variance", "spatial", "mean", "variance", "alpha", "mean", "variance"],
                    [
                        .. shares.Select(row =>
                            (string[])
                                [
                                    row.P.ToString("F1", CultureInfo.InvariantCulture),
                                    .. Cells(row.Standard),
                                    .. Cells(row.Spatial),
                                    .. Cells(row.Alpha),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    string.Create(
                        System.Globalization.CultureInfo.InvariantCulture,
                        $"The lesson's comparison network (one convolution of 64 channels) on drawn "
                            + $"stripes, p = 0.5, 8 epochs, {LabSeeds.Count} seeds"
                    ),
                    ["dropout", "training accuracy", "validation accuracy", "eval mode changes values"],
                    [
                        .. trained.Select(
                            (item, i) =>
                                (string[])
                                    [
                                        item.Name,
                                        LabSeeds.Percent([.. item.Histories.Select(run => run[^1].TrainingAccuracy)]),
                                        LabSeeds.Percent([.. item.Histories.Select(run => run[^1].ValidationAccuracy)]),
                                        ChangesInEval(runs[i].Kind) ? "yes" : "no",
                                    ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("masks", 900, 330)
                {
                    Plot = () =>
                        LabPlots.Grids(
                            "A constant input [4 channels of 8 x 8] after dropout with p = 0.5 (white: dropped)",
                            [.. Masks(nn.Dropout(0.5), "standard"), .. Masks(nn.Dropout2d(0.5), "spatial")]
                        ),
                },
                new Figure("training", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "The lesson's comparison network on drawn stripes, mean of the seeds (dashed: training)",
                            "epoch",
                            "accuracy, %",
                            [
                                .. trained.SelectMany(item =>
                                    (Curve[])
                                        [
                                            new(
                                                item.Name,
                                                LabSeeds.Mean(item.Histories, epoch => epoch.ValidationAccuracy)
                                            ),
                                            new(
                                                $"{item.Name}, training",
                                                LabSeeds.Mean(item.Histories, epoch => epoch.TrainingAccuracy),
                                                Dashed: true
                                            ),
                                        ]
                                ),
                            ],
                            lowY: 0
                        ),
                },
            ],
        };
    }

    private static string[] Cells((double Share, double Mean, double Variance) found) =>
        [
            found.Share.ToString("P1", CultureInfo.InvariantCulture),
            found.Mean.ToString("F3", CultureInfo.InvariantCulture),
            found.Variance.ToString("F3", CultureInfo.InvariantCulture),
        ];

    /// <summary>
    /// The value that AlphaDropout gives to a dropped element: a (-1.7581 + b) in the paper's notation. Klambauer et
    /// al. 2017, section "Alpha dropout".
    /// </summary>
    /// <param name="p">Probability of dropping a value.</param>
    private static float AlphaValue(double p)
    {
        const double limit = -1.7580993408473766;
        double keep = 1 - p,
            a = 1 / Math.Sqrt(keep + (limit * limit * keep * p)),
            b = -a * p * limit;
        return (float)((a * limit) + b);
    }

    /// <summary>
    /// The effect of a dropout on normal random numbers in train mode: share dropped, mean and variance afterwards.
    /// </summary>
    /// <param name="dropout">The layer, which this method disposes.</param>
    /// <param name="dropped">The value of a dropped element.</param>
    private static (double Share, double Mean, double Variance) Measure(
        nn.Module<Tensor, Tensor> dropout,
        float dropped
    )
    {
        random.manual_seed(13);
        using var scope = NewDisposeScope();
        using (dropout)
        {
            dropout.train();
            var output = dropout.call(randn(64, 32, 8, 8));
            return (
                (output - dropped).abs().lt(1e-4).to(ScalarType.Float32).mean().ToDouble(),
                output.mean().ToDouble(),
                output.var().ToDouble()
            );
        }
    }

    /// <summary>
    /// The positions that a dropout keeps in a few channels, as grids for the figure.
    /// </summary>
    /// <param name="dropout">The layer, which this method disposes.</param>
    /// <param name="name">Name of the grids.</param>
    private static IEnumerable<(string, double[][])> Masks(nn.Module<Tensor, Tensor> dropout, string name)
    {
        random.manual_seed(16);
        using var scope = NewDisposeScope();
        using (dropout)
        {
            dropout.train();
            var output = dropout.call(ones(1, 4, 8, 8)).data<float>().ToArray();
            for (var channel = 0; channel < 4; channel++)
                yield return (
                    $"{name} {channel + 1}",
                    [
                        .. Enumerable
                            .Range(0, 8)
                            .Select(row =>
                                Enumerable
                                    .Range(0, 8)
                                    .Select(column => output[(channel * 64) + (row * 8) + column] / 2.0)
                                    .ToArray()
                            ),
                    ]
                );
        }
    }

    /// <summary>Whether a dropout changes values in eval mode; it must not.</summary>
    /// <param name="kind">Kind of dropout; null for none.</param>
    private static bool ChangesInEval(DropoutKind? kind)
    {
        if (kind is null)
            return false;
        using var scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> dropout = kind switch
        {
            DropoutKind.Standard => nn.Dropout(0.5),
            DropoutKind.Spatial => nn.Dropout2d(0.5),
            _ => nn.AlphaDropout(0.5),
        };
        dropout.eval();
        var input = randn(2, 3, 4, 4);
        return !dropout.call(input).equal(input).all().item<bool>();
    }

    /// <summary>Trains the lesson's network with one kind of dropout.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="kind">Kind of dropout; null for none.</param>
    private static IReadOnlyList<LabEpoch> Train(LabContext context, DropoutKind? kind)
    {
        random.manual_seed(context.Seed);
        using var network = new DropoutComparison(kind, context.Data.Classes);
        return LabTrainer.Train(
            network,
            context,
            new LabSettings
            {
                Epochs = 8,
                BatchSize = 16,
                LearningRate = 0.01,
            }
        );
    }
}
