using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>Initialization: statistics of the weights compared with theory, signal and gradient through thirty
/// layers, and training from a good and a bad start.</summary>
internal static class InitializationTopic
{
    // The weights of the table have fewer rows (out) than columns (in x kernel), so orthogonal rows of length sqrt 2
    // have the sigma of fan_in.
    private const int Depth = 30,
        Units = 128,
        Samples = 256;
    private static readonly (string Name, Action<Tensor> Set, Func<double, double, double> Sigma)[] Starts =
    [
        (
            "Xavier uniform",
            weight => WeightInitialization.Weight(weight, InitializationKind.XavierUniform),
            (fanIn, fanOut) => Math.Sqrt(2 / (fanIn + fanOut))
        ),
        (
            "Xavier normal",
            weight => WeightInitialization.Weight(weight, InitializationKind.XavierNormal),
            (fanIn, fanOut) => Math.Sqrt(2 / (fanIn + fanOut))
        ),
        (
            "Kaiming uniform, fan_in",
            weight => WeightInitialization.Weight(weight, InitializationKind.KaimingUniform),
            (fanIn, _) => Math.Sqrt(2 / fanIn)
        ),
        (
            "Kaiming normal, fan_in",
            weight =>
                nn.init.kaiming_normal_(
                    weight,
                    mode: nn.init.FanInOut.FanIn,
                    nonlinearity: nn.init.NonlinearityType.ReLU
                ),
            (fanIn, _) => Math.Sqrt(2 / fanIn)
        ),
        (
            "Kaiming normal, fan_out",
            weight => WeightInitialization.Weight(weight, InitializationKind.KaimingNormal),
            (_, fanOut) => Math.Sqrt(2 / fanOut)
        ),
        (
            "orthogonal, gain sqrt 2",
            weight => WeightInitialization.Weight(weight, InitializationKind.Orthogonal),
            (fanIn, _) => Math.Sqrt(2 / fanIn)
        ),
        (
            "LeCun normal",
            weight => WeightInitialization.Weight(weight, InitializationKind.LecunNormal),
            (fanIn, _) => Math.Sqrt(1 / fanIn)
        ),
        (
            "PyTorch's default (Kaiming uniform, a = sqrt 5)",
            weight => nn.init.kaiming_uniform_(weight, a: Math.Sqrt(5)),
            (fanIn, _) => Math.Sqrt(1 / (3 * fanIn))
        ),
    ];

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var statistics = Starts.Select(start => Statistics(start.Name, start.Set, start.Sigma)).ToArray();
        var signals = (
            from activation in (string[])["ReLU", "tanh", "SELU"]
            from start in Starts
            select (Activation: activation, start.Name, Flow: Flow(start.Set, activation))
        ).ToArray();
        var trained = (
            from bad in (bool[])[false, true]
            from norm in (NormKind[])[NormKind.Batch, NormKind.None]
            select (
                Name: $"{(bad ? "bad start" : "Kaiming")}, {(norm == NormKind.Batch ? "BatchNorm" : "no norm")}",
                History: Train(context, bad, norm)
            )
        ).ToArray();
        return new LabPage(
            "initialization",
            "Initialization: the size of the first signal",
            "Each layer multiplies the signal by a factor, so thirty layers multiply thirty of them. Kaiming's "
                + "sqrt(2 / fan), where fan is the number of inputs that a unit adds up, gives 1 for ReLU, "
                + "LeCun's sqrt(1 / fan) for SELU, Xavier's nearly 1 for tanh "
                + "(which flattens what is large, so the signal still shrinks slowly); other combinations shrink "
                + "or grow by a factor per layer. The same happens to the gradient in the backward pass. "
                + "PyTorch's default for Conv2d and Linear is none of these: Kaiming uniform with a = sqrt 5, a "
                + "sigma of sqrt(1 / (3 fan_in)), which loses signal in a deep ReLU network. The training curves "
                + "show whether BatchNorm makes a network less sensitive: compare the bad start (a twentieth of "
                + "Kaiming's weights) with and without it."
        )
        {
            Tables =
            [
                new LabTable(
                    "Weights [128, 64, 3, 3]: sigma measured and in theory",
                    ["start", "mean", "sigma", "theory"],
                    statistics
                ),
                new LabTable(
                    $"Through {Depth} layers of {Units} units: sigma of the last layer's values divided by the "
                        + $"first's; the same ratio for the gradients, backwards",
                    ["activation", "start", "signal", "gradient"],
                    [
                        .. signals.Select(row =>
                            (string[])
                                [
                                    row.Activation,
                                    row.Name,
                                    Numbers.Short(row.Flow.Signal[^1]),
                                    Numbers.Short(row.Flow.Gradient),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    $"ModernCNN, {context.Network}, 8 epochs",
                    ["start", "training accuracy", "validation accuracy"],
                    [
                        .. trained.Select(row =>
                            (string[])
                                [
                                    row.Name,
                                    row.History[^1].TrainingAccuracy.ToString("P1", CultureInfo.InvariantCulture),
                                    row.History[^1].ValidationAccuracy.ToString("P1", CultureInfo.InvariantCulture),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                .. ((string[])["ReLU", "tanh", "SELU"]).Select(activation => new Figure(
                    $"signal-{activation.ToLowerInvariant()}",
                    900,
                    420
                )
                {
                    Plot = () =>
                        LabPlots.Lines(
                            $"Sigma of the values by depth, {activation}",
                            "layer",
                            "sigma",
                            [
                                .. signals
                                    .Where(row => row.Activation == activation)
                                    .Select(row => new Curve(
                                        row.Name,
                                        row.Flow.Signal.Select((sigma, layer) => ((double)layer, sigma))
                                    )),
                            ],
                            logY: true
                        ),
                }),
                new Figure("training", 900, 440)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            $"From a good and a bad start ({context.Network})",
                            "epoch",
                            "training loss",
                            [
                                .. trained.Select(row => new Curve(
                                    row.Name,
                                    row.History.Select(epoch => ((double)epoch.Epoch, epoch.TrainingLoss))
                                )),
                            ],
                            lowY: 0
                        ),
                },
            ],
        };
    }

    /// <summary>
    /// A table row: mean and standard deviation of an initialized weight, next to the theoretical ones.
    /// </summary>
    /// <param name="name">Name of the initialization.</param>
    /// <param name="set">Initializes a weight.</param>
    /// <param name="sigma">The theoretical standard deviation, from fan-in and fan-out.</param>
    private static string[] Statistics(string name, Action<Tensor> set, Func<double, double, double> sigma)
    {
        random.manual_seed(17);
        using var scope = NewDisposeScope();
        var weight = zeros(128, 64, 3, 3);
        set(weight);
        string G(double value) => value.ToString("F5", CultureInfo.InvariantCulture);
        return [name, G(weight.mean().ToDouble()), G(weight.std().ToDouble()), G(sigma(64 * 9, 128 * 9))];
    }

    /// <summary>Sends normal random numbers through thirty layers, and a gradient back.</summary>
    /// <param name="set">Initializes a layer's weight.</param>
    /// <param name="activation"><c>ReLU</c>, <c>tanh</c> or another one from the table.</param>
    /// <returns>The standard deviation after each layer, and that of the gradient at the input.</returns>
    private static (double[] Signal, double Gradient) Flow(Action<Tensor> set, string activation)
    {
        random.manual_seed(18);
        using var scope = NewDisposeScope();
        var input = randn(Samples, Units).requires_grad_();
        var value = input;
        var signal = new List<double> { 1 };
        for (var index = 0; index < Depth; index++)
        {
            var weight = zeros(Units, Units);
            set(weight);
            var sum = value.matmul(weight.t());
            value = activation switch
            {
                "ReLU" => sum.relu(),
                "tanh" => sum.tanh(),
                _ => nn.functional.selu(sum),
            };
            signal.Add(value.detach().std().ToDouble());
        }

        var upstream = randn(Samples, Units);
        value.backward([upstream]);
        return ([.. signal], (input.grad!.std() / upstream.std()).ToDouble());
    }

    /// <summary>Trains from a good or a bad start.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="bad">Whether the weights start too large.</param>
    /// <param name="norm">The normalization after each convolution.</param>
    private static IReadOnlyList<LabEpoch> Train(LabContext context, bool bad, NormKind norm)
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context) with { Norm = norm });
        if (bad)
        {
            using var noGrad = no_grad();
            foreach (var convolution in network.modules().OfType<CastingConv2d>())
                convolution.Weight.mul_(0.05);
        }

        return LabTrainer.Train(network, context, new LabSettings { Epochs = 8 });
    }
}
