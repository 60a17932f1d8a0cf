using System.Globalization;
using TorchBridge.Training.Ablation;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>Batch, layer, instance, group normalization and none: which axes each averages over, and how networks
/// train with it.</summary>
internal static class NormalizationsTopic
{
    private const int Samples = 4,
        Channels = 8;
    private static readonly NormKind[] Kinds =
    [
        NormKind.Batch,
        NormKind.Layer,
        NormKind.Instance,
        NormKind.Group,
        NormKind.None,
    ];
    private static readonly int[] BatchSizes = [2, 8, 32];
    private const int Steps = 150;

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Seed; this topic's pictures are stripes.</param>
    public static LabPage Run(LabContext context)
    {
        using var stripes = LabTextures.For(context);
        context = context with { Data = stripes };
        var lesson = Kinds
            .Select(kind => (Kind: kind, Runs: LabSeeds.Of(context, seeded => TrainLesson(seeded, kind))))
            .ToArray();
        var bySize = Kinds
            .Select(kind =>
                (
                    Kind: kind,
                    Accuracies: BatchSizes
                        .Select(size => LabSeeds.Of(context, seeded => TrainReduced(seeded, kind, size)))
                        .ToArray()
                )
            )
            .ToArray();
        return new LabPage(
            "normalizations",
            "Normalizations: which axes they average over",
            "In the figure a row is a picture of the batch and a column a channel; cells of one colour "
                + "share one mean and one variance over all their positions. Batch averages down the column: "
                + "its effect on a picture depends on the others in its batch. Layer, instance and group never "
                + "look at another picture. "
                + Measured(bySize)
                + "Instance removes each channel's own mean, and with it the information in the mean over the "
                + "map. PyTorch's InstanceNorm2d has no weights by default, and one group of "
                + "GroupNorm equals LayerNorm up to the shape of the weights."
        )
        {
            Tables =
            [
                new LabTable(
                    $"Means over [{Samples}, {Channels}, 6, 6] before and after: standard deviation of the "
                        + $"channel means and of the sample means",
                    ["norm", "channel means", "sample means", "variance of all"],
                    [.. Statistics()]
                ),
                new LabTable(
                    FormattableString.Invariant(
                        $"The lesson's small network on drawn stripes, 6 epochs, {LabSeeds.Count} seeds: mean ± standard deviation"
                    ),
                    ["norm", "parameters", "training accuracy", "validation accuracy"],
                    [
                        .. lesson.Select(item =>
                            (string[])
                                [
                                    item.Kind.ToString(),
                                    item.Runs[0].Parameters.ToString("N0", CultureInfo.InvariantCulture),
                                    LabSeeds.Percent([.. item.Runs.Select(run => run.History[^1].TrainingAccuracy)]),
                                    LabSeeds.Percent([.. item.Runs.Select(run => run.History[^1].ValidationAccuracy)]),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Validation accuracy by batch size on drawn stripes, {Steps} steps each, "
                            + $"{LabSeeds.Count} seeds; ModernCNN, {context.Network}"
                    ),
                    ["norm", .. BatchSizes.Select(size => $"batch {size}")],
                    [
                        .. bySize.Select(item =>
                            (string[])[item.Kind.ToString(), .. item.Accuracies.Select(LabSeeds.Percent)]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("axes", 900, 220)
                {
                    Plot = () =>
                        LabPlots.Grids(
                            "Cells of one colour share mean and variance (rows: pictures, columns: channels)",
                            [.. Kinds.Select(kind => (kind.ToString(), GroupsOf(kind)))],
                            LabPlots.Group
                        ),
                },
                new Figure("training", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "The lesson's small network on drawn stripes: validation accuracy, mean of the seeds",
                            "epoch",
                            "accuracy, %",
                            [
                                .. lesson.Select(item => new Curve(
                                    item.Kind.ToString(),
                                    LabSeeds.Mean([.. item.Runs.Select(run => run.History)], epoch =>
                                        epoch.ValidationAccuracy
                                    )
                                )),
                            ],
                            lowY: 0
                        ),
                },
                new Figure("batch-size", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            FormattableString.Invariant(
                                $"Validation accuracy after {Steps} steps, by batch size ({context.Network})"
                            ),
                            "batch size",
                            "accuracy, %",
                            [
                                .. bySize.Select(item => new Curve(
                                    item.Kind.ToString(),
                                    BatchSizes.Zip(item.Accuracies, (size, shares) =>
                                        ((double)size, 100 * shares.Average())
                                    )
                                )),
                            ],
                            logX: 2,
                            lowY: 0
                        ),
                },
            ],
        };
    }

    /// <summary>What the runs show about small batches, or that they show nothing.</summary>
    private static string Measured(IEnumerable<(NormKind Kind, double[][] Accuracies)> bySize)
    {
        Spread At(NormKind kind, int size) => Spread.Of(bySize.Single(item => item.Kind == kind).Accuracies[size]);
        var (batch, group) = (At(NormKind.Batch, 0), At(NormKind.Group, 0));
        var isBehind = group.Mean - batch.Mean > batch.Deviation + group.Deviation;
        var figures = string.Create(
            CultureInfo.InvariantCulture,
            $"Measured here, with the same {Steps} steps for every size: Batch has {batch.Mean:P0} at size "
                + $"{BatchSizes[0]} and {At(NormKind.Batch, BatchSizes.Length - 1).Mean:P0} at size {BatchSizes[^1]}, "
                + $"Group {group.Mean:P0} and {At(NormKind.Group, BatchSizes.Length - 1).Mean:P0}. "
        );
        var meaning = isBehind
            ? "With two pictures Batch falls behind: its statistics are noise. "
            : "With two pictures Batch does not fall behind: a map with many positions is a large sample even "
                + "for two pictures. Its noise shows where maps are small, and in eval mode (see the topic batchnorm). ";
        return figures
            + meaning
            + "A step with a larger batch has seen more pictures, so all lines rise to the right: compare the "
            + "lines with each other. ";
    }

    /// <summary>The number of the group in which a picture's channel is averaged.</summary>
    /// <param name="kind">Kind of normalization.</param>
    /// <returns>Rows are pictures, columns channels; cells with equal numbers are averaged together.</returns>
    private static double[][] GroupsOf(NormKind kind) =>
        [
            .. Enumerable
                .Range(0, Samples)
                .Select(sample =>
                    Enumerable
                        .Range(0, Channels)
                        .Select(channel =>
                            (double)(
                                kind switch
                                {
                                    NormKind.Batch => channel,
                                    NormKind.Layer => sample,
                                    NormKind.Instance => (sample * Channels) + channel,
                                    NormKind.Group => (sample * 4) + (channel / 2),
                                    _ => -1,
                                }
                            )
                        )
                        .ToArray()
                ),
        ];

    /// <summary>Table rows: mean and standard deviation by channel and by picture after each norm.</summary>
    private static IEnumerable<string[]> Statistics()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        random.manual_seed(9);
        // Channels and pictures differ in brightness.
        var x =
            randn(Samples, Channels, 6, 6)
            + linspace(-3, 3, Channels).view(1, Channels, 1, 1)
            + linspace(-2, 2, Samples).view(Samples, 1, 1, 1);
        string[] Row(string name, Tensor y) =>
            [
                name,
                .. ((Tensor[])[y.mean([0, 2, 3]).std(), y.mean([1, 2, 3]).std(), y.var()]).Select(value =>
                    value.ToDouble().ToString("F3", CultureInfo.InvariantCulture)
                ),
            ];
        yield return Row("before", x);
        foreach (
            var (name, layer) in ((string, nn.Module<Tensor, Tensor>)[])
                [
                    ("Batch", nn.BatchNorm2d(Channels)),
                    ("Layer", nn.LayerNorm([Channels, 6, 6])),
                    ("Instance", nn.InstanceNorm2d(Channels)),
                    ("Group (4 groups)", NormLayer.Group(4, Channels)),
                ]
        )
        {
            using (layer)
                yield return Row(name, layer.call(x));
        }
    }

    /// <summary>Trains the lesson's comparison network.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="kind">Kind of normalization.</param>
    private static (IReadOnlyList<LabEpoch> History, long Parameters) TrainLesson(LabContext context, NormKind kind)
    {
        random.manual_seed(context.Seed);
        var set = context.Data.Pictures.Training;
        using var network = new NormComparison(kind, set.Height, set.Width, context.Data.Classes);
        return (
            LabTrainer.Train(
                network,
                context,
                new LabSettings
                {
                    Epochs = 6,
                    BatchSize = 16,
                    LearningRate = 0.01,
                }
            ),
            network.parameters().Sum(parameter => parameter.numel())
        );
    }

    /// <summary>Validation accuracy of the reduced ModernCNN after a run.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="kind">Kind of normalization.</param>
    /// <param name="batchSize">Pictures per step.</param>
    private static double TrainReduced(LabContext context, NormKind kind, int batchSize)
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context) with { Norm = kind });
        return LabTrainer
            .Train(
                network,
                context,
                new LabSettings
                {
                    // Fewer if there are few pictures.
                    Steps = Math.Min(Steps, context.Data.Pictures.Training.Count),
                    BatchSize = batchSize,
                    LearningRate = 0.001,
                    ValidateAtEndOnly = true,
                }
            )[^1]
            .ValidationAccuracy;
    }
}
