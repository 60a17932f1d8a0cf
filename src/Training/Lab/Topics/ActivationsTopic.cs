using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>How values spread through deep layers and over training steps, with and without normalization.</summary>
internal static class ActivationsTopic
{
    private const int Samples = 500,
        Units = 100,
        Depth = 30;

    /// <summary>0.5 is the lesson's scale for 100 units; sqrt(2 / 100) is Kaiming's.</summary>
    private static readonly double[] Scales = [0.05, Math.Sqrt(2.0 / Units), 0.5];

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Seed and network; this topic's data are random numbers.</param>
    public static LabPage Run(LabContext context)
    {
        random.manual_seed(context.Seed);
        using var noGrad = no_grad();
        var runs = (
            from relu in (bool[])[true, false]
            from scale in Scales
            from norm in (bool[])[false, true]
            select Spread(scale, relu, norm)
        ).ToArray();
        var lesson = Layers(0.5, relu: true, norm: false, 5);
        var normalized = Layers(0.5, relu: true, norm: true, 5);
        var shift = Shift(context);
        return new LabPage(
            "activations",
            "Activations through deep layers",
            "Sigma is the standard deviation: how far the values of a layer spread around their mean. Follow one "
                + "line from left to right. If the weights are slightly too small, sigma falls by the same factor in "
                + "every layer until nothing is left. If they are slightly too large, it grows without bound: the "
                + "lesson's 0.5 for 100 units explodes, it does not vanish. Normalizing each layer keeps sigma "
                + "constant, whatever the scale of the weights. The last figure shows the shift that was the "
                + "original explanation of BatchNorm: the input of a layer in the middle, step by step, while the "
                + "layers before it learn."
        )
        {
            Tables =
            [
                new LabTable(
                    $"Sigma after a layer, {Samples} samples, {Units} units; dead: zero for every sample; "
                        + "exploded: above 10,000 or not finite",
                    ["weights", "activation", "norm", "layer 1", "5", "15", "30", "dead", "exploded"],
                    [
                        .. runs.Select(run =>
                            (string[])
                                [
                                    run.Scale.ToString("F3", CultureInfo.InvariantCulture),
                                    run.Relu ? "ReLU" : "tanh",
                                    run.Norm ? "yes" : "no",
                                    .. ((int[])[1, 5, 15, 30]).Select(layer => Numbers.Short(run.Sigmas[layer])),
                                    run.Dead.ToString("P0", CultureInfo.InvariantCulture),
                                    run.Exploded.ToString("P0", CultureInfo.InvariantCulture),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("depth", 900, 480)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "Sigma by depth (ReLU; dashed: normalized)",
                            "layer",
                            "sigma",
                            [
                                .. runs.Where(run => run.Relu)
                                    .Select(run => new Curve(
                                        string.Create(
                                            CultureInfo.InvariantCulture,
                                            $"weights {run.Scale:F3}{(run.Norm ? ", normalized" : "")}"
                                        ),
                                        run.Sigmas.Select((sigma, layer) => ((double)layer, sigma)),
                                        run.Norm
                                    )),
                            ],
                            logY: true
                        ),
                },
                new Figure("histograms", 760, 520)
                {
                    Plot = () =>
                        LabPlots.Ridges(
                            "Five layers, weights 0.5, ReLU, no normalization",
                            "value",
                            [.. lesson.Select((values, layer) => ($"layer {layer}", values))],
                            -5,
                            Math.Min(200, lesson[3].Max())
                        ),
                },
                new Figure("histograms-normalized", 760, 520)
                {
                    Plot = () =>
                        LabPlots.Ridges(
                            "The same layers, normalized before each ReLU",
                            "value",
                            [.. normalized.Select((values, layer) => ($"layer {layer}", values))],
                            -5,
                            5
                        ),
                },
                new Figure("shift", 900, 460)
                {
                    Plot = () =>
                        LabPlots.Lines(
                            "Input of the 5th of 8 layers while the network learns",
                            "step",
                            "mean and sigma",
                            shift
                        ),
                },
            ],
        };
    }

    private sealed record SpreadRun(double Scale, bool Relu, bool Norm, double[] Sigmas, double Dead, double Exploded);

    /// <summary>Sends random numbers through a deep stack once.</summary>
    /// <param name="scale">Factor that each layer's weights are multiplied by.</param>
    /// <param name="relu">True for ReLU, false for tanh.</param>
    /// <param name="norm">Whether BatchNorm precedes each activation.</param>
    private static SpreadRun Spread(double scale, bool relu, bool norm)
    {
        var layers = Layers(scale, relu, norm, Depth);
        var last = layers[^1];
        // Each unit is a column of [samples, units].
        var units = Enumerable
            .Range(0, Units)
            .Select(unit => Enumerable.Range(0, Samples).Select(row => last[(row * Units) + unit]).ToArray())
            .ToArray();
        return new SpreadRun(
            scale,
            relu,
            norm,
            [.. layers.Select(Sigma)],
            units.Count(unit => unit.All(value => value == 0)) / (double)Units,
            units.Count(unit => unit.Any(value => !(Math.Abs(value) <= 10_000))) / (double)Units
        );
    }

    /// <summary>Standard deviation of values (n in the denominator).</summary>
    /// <param name="values">At least one.</param>
    private static double Sigma(float[] values)
    {
        var mean = values.Average(value => (double)value);
        return Math.Sqrt(values.Average(value => (value - mean) * (value - mean)));
    }

    /// <summary>The input and the values after each layer.</summary>
    private static List<float[]> Layers(double scale, bool relu, bool norm, int depth)
    {
        using var scope = NewDisposeScope();
        var value = randn(Samples, Units);
        var values = new List<float[]> { value.data<float>().ToArray() };
        for (var layer = 0; layer < depth; layer++)
        {
            value = value.matmul(randn(Units, Units) * scale);
            if (norm)
                value =
                    (value - value.mean([0], keepdim: true))
                    / (value.var([0], unbiased: false, keepdim: true) + 1e-5).sqrt();
            value = relu ? value.relu() : value.tanh();
            values.Add(value.contiguous().data<float>().ToArray());
        }

        return values;
    }

    /// <summary>
    /// Mean and sigma of one layer's inputs while a stack is trained, with and without norms.
    /// </summary>
    /// <param name="context">Data set and seed.</param>
    private static List<Curve> Shift(LabContext context)
    {
        var curves = new List<Curve>();
        foreach (var norm in (bool[])[false, true])
        {
            random.manual_seed(context.Seed);
            using var withGrad = enable_grad();
            using var network = new DeepStack(
                8,
                64,
                context.Data.Classes,
                norm ? units => nn.BatchNorm1d(units) : null
            );
            var means = new List<(double, double)>();
            var sigmas = new List<(double, double)>();
            var step = 0;
            network.Watch = (4, x =>
            {
                if (!network.training)
                    return;
                using var scope = NewDisposeScope();
                var values = x.detach();
                means.Add((++step, values.mean().ToDouble()));
                sigmas.Add((step, values.std().ToDouble()));
            });
            LabTrainer.Train(network, context, new LabSettings { Epochs = 6 });
            var name = norm ? "with BatchNorm" : "without";
            curves.Add(new Curve($"mean, {name}", means));
            curves.Add(new Curve($"sigma, {name}", sigmas));
        }

        return curves;
    }
}
