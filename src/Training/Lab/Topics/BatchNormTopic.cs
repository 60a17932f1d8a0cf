using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>BatchNorm from scratch compared with the library's, and the effect of the biased running variance in the
/// lesson's version.</summary>
internal static class BatchNormTopic
{
    private static readonly int[] BatchSizes = [2, 4, 8, 32, 128];
    private const int Steps = 400;

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var equal = (string[][])
            [
                Compare("BatchNorm1d [32, 10]", nn.BatchNorm1d(10), 10, [32, 10]),
                Compare("BatchNorm2d [16, 8, 12, 12]", nn.BatchNorm2d(8), 8, [16, 8, 12, 12]),
            ];
        var running = BatchSizes
            .Select(size =>
                (
                    Size: size,
                    Unbiased: RunningVariance(size, false, context.Seed),
                    Biased: RunningVariance(size, true, context.Seed)
                )
            )
            .ToArray();
        using var stripes = LabTextures.For(context, isTinted: true);
        context = context with { Data = stripes };
        var accuracy = BatchSizes
            .Select(size =>
                (
                    Size: size,
                    Unbiased: LabSeeds.Of(context, seeded => EvalAccuracy(seeded, size, false)),
                    Biased: LabSeeds.Of(context, seeded => EvalAccuracy(seeded, size, true))
                )
            )
            .ToArray();
        return new LabPage(
            "batchnorm",
            "BatchNorm, written out",
            "The same results as the library's layer in three lines of arithmetic: forward pass, running "
                + "statistics, eval mode, and gradients by autograd. One line differs in the lesson's version: "
                + "running_var accumulates the variance divided by m, not by m - 1. In train mode this has no "
                + "effect. In eval mode every value is divided by a sigma that is too small by a factor of sqrt((m - "
                + "1) / m): at m = 2 the layer is off by 41 %, at 128 by 0.4 %. A convolution counts every position "
                + "of the map, so its m is large and the difference small. "
                + string.Create(
                    CultureInfo.InvariantCulture,
                    $"The cost, after the same {Steps} steps at each size: at m = 2 the accuracy in eval mode is "
                        + $"{accuracy[0].Biased.Average():P0} instead of {accuracy[0].Unbiased.Average():P0}, at m = 128 "
                        + $"{accuracy[^1].Biased.Average():P0} instead of {accuracy[^1].Unbiased.Average():P0}: "
                        + $"every layer is scaled alike, and the largest output mostly stays the largest. Both "
                        + $"lines rise to the right for other reasons, which the two versions share: the mean "
                        + $"and sigma of {BatchSizes[0]} or {BatchSizes[1]} pictures are mostly chance, and a "
                        + $"step with a larger batch has seen more pictures. So compare the two lines at the "
                        + $"same batch size."
                )
        )
        {
            Tables =
            [
                new LabTable(
                    "Largest difference from the library's layer, float32",
                    [
                        "layer",
                        "output",
                        "running_mean",
                        "running_var",
                        "eval output",
                        "input gradient",
                        "weight gradient",
                    ],
                    equal
                ),
                new LabTable(
                    "running_var after 200 batches of numbers with variance 1 (one channel, [N, 1])",
                    ["batch size", "unbiased (PyTorch)", "biased (lesson)", "m - 1 over m"],
                    [
                        .. running.Select(row =>
                            (string[])
                                [
                                    row.Size.ToString(CultureInfo.InvariantCulture),
                                    F(row.Unbiased),
                                    F(row.Biased),
                                    F((row.Size - 1.0) / row.Size),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    string.Create(
                        System.Globalization.CultureInfo.InvariantCulture,
                        $"Validation accuracy in eval mode on tinted stripes, three linear layers of "
                            + $"128 units with BatchNorm1d, {Steps} steps, {LabSeeds.Count} seeds"
                    ),
                    ["batch size", "unbiased", "biased"],
                    [
                        .. accuracy.Select(row =>
                            (string[])
                                [
                                    row.Size.ToString(CultureInfo.InvariantCulture),
                                    LabSeeds.Percent(row.Unbiased),
                                    LabSeeds.Percent(row.Biased),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("batchnorm", 820, 440)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "running_var of numbers with variance 1, by batch size",
                            "batch size",
                            "running_var",
                            [
                                new Curve(
                                    "unbiased (PyTorch)",
                                    running.Select(row => ((double)row.Size, row.Unbiased))
                                ),
                                new Curve("biased (lesson)", running.Select(row => ((double)row.Size, row.Biased))),
                            ],
                            logX: 2,
                            lowY: 0,
                            highY: 1.2
                        ),
                },
                new Figure("accuracy", 820, 440)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "Validation accuracy in eval mode, by batch size of training",
                            "batch size",
                            "accuracy, %",
                            [
                                new Curve(
                                    "unbiased (PyTorch)",
                                    accuracy.Select(row => ((double)row.Size, 100 * row.Unbiased.Average()))
                                ),
                                new Curve(
                                    "biased (lesson)",
                                    accuracy.Select(row => ((double)row.Size, 100 * row.Biased.Average()))
                                ),
                            ],
                            logX: 2,
                            lowY: 0
                        ),
                },
            ],
        };
    }

    /// <summary>
    /// A table row: the largest differences between the library's layer and the one from scratch, in both modes.
    /// </summary>
    /// <param name="name">Name in the table.</param>
    /// <param name="library">The library's layer.</param>
    /// <param name="channels">Number of channels.</param>
    /// <param name="shape">Shape of the input.</param>
    private static string[] Compare(string name, nn.Module<Tensor, Tensor> library, int channels, long[] shape)
    {
        using var scope = NewDisposeScope();
        using (library)
        using (var ours = new ScratchBatchNorm(channels))
        {
            random.manual_seed(5);
            var theirs = library.state_dict();
            theirs["weight"].detach().uniform_(0.5, 1.5);
            theirs["bias"].detach().normal_();
            ours.load_state_dict(theirs);
            Tensor Step(nn.Module<Tensor, Tensor> layer, Tensor x)
            {
                layer.train();
                x.requires_grad_();
                var output = layer.call(x);
                (output * linspace(-1, 1, output.numel()).view(output.shape)).sum().backward();
                return output;
            }

            var data = (randn(shape) * 3) + 2;
            Tensor first = data.clone(),
                b = data.clone();
            Tensor left = Step(library, first),
                right = Step(ours, b);
            library.eval();
            ours.eval();
            var (state, mine) = (library.state_dict(), ours.state_dict());
            string Largest(Tensor p, Tensor q) => Numbers.Short((p - q).abs().max().ToDouble(), 2);
            return
            [
                name,
                Largest(left, right),
                Largest(state["running_mean"], mine["running_mean"]),
                Largest(state["running_var"], mine["running_var"]),
                Largest(library.call(data), ours.call(data)),
                Largest(first.grad!, b.grad!),
                Largest(Gradient(library), Gradient(ours)),
            ];
        }
    }

    /// <summary>The gradient of a layer's weight.</summary>
    /// <param name="layer">A layer after a backward pass.</param>
    private static Tensor Gradient(nn.Module layer) =>
        layer.named_parameters().First(parameter => parameter.name == "weight").parameter.grad!;

    /// <summary>
    /// The running variance after many batches of normal random numbers with variance 1.
    /// </summary>
    /// <param name="batchSize">Samples per batch.</param>
    /// <param name="biased">Whether the running variance accumulates the biased variance.</param>
    /// <param name="seed">Seed of the numbers.</param>
    private static double RunningVariance(int batchSize, bool biased, int seed)
    {
        random.manual_seed(seed);
        using var noGrad = no_grad();
        using var layer = new ScratchBatchNorm(1) { KeepsBiasedVariance = biased };
        layer.train();
        double sum = 0;
        const int steps = 200;
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            layer.call(randn(batchSize, 1));
            // The running value of small batches fluctuates; its mean over the second half does not.
            if (step >= steps / 2)
                sum += layer.state_dict()["running_var"].item<float>();
        }

        return sum / (steps / 2);
    }

    /// <summary>Accuracy in eval mode of a stack that was trained with small batches.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="batchSize">Samples per batch.</param>
    /// <param name="biased">Whether its norms accumulate the biased variance.</param>
    private static double EvalAccuracy(LabContext context, int batchSize, bool biased)
    {
        random.manual_seed(context.Seed);
        using var network = new DeepStack(3, 128, context.Data.Classes, units => new ScratchBatchNorm(units)
        {
            KeepsBiasedVariance = biased,
        });
        return LabTrainer
            .Train(
                network,
                context,
                new LabSettings
                {
                    Steps = Math.Min(Steps, context.Data.Pictures.Training.Count),
                    ValidateAtEndOnly = true,
                    BatchSize = batchSize,
                    LearningRate = 0.001,
                }
            )[^1]
            .ValidationAccuracy;
    }

    private static string F(double value) => value.ToString("F3", CultureInfo.InvariantCulture);
}
