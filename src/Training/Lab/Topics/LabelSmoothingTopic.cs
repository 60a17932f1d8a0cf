using System.Globalization;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;
using TorchBridge.Training.Regularization;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>Label smoothing: the formula, and its effect on confidence and calibration.</summary>
internal static class LabelSmoothingTopic
{
    private static readonly double[] Smoothings = [0, 0.1, 0.3];

    /// <summary>Runs the experiment.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Run(LabContext context)
    {
        var runs = Smoothings.Select(smoothing => Train(context, smoothing)).ToArray();
        return new LabPage(
            "label-smoothing",
            "Label smoothing: less confident by design",
            "With K classes and a smoothing of s, the target of the true class is 1 - s + s / K, and that of "
                + "every other class s / K: with s = 0.1 and three classes, 0.933 and 0.033. (The lesson's 0.9 and "
                + "0.05 are not what its own formula gives.) A network that is rewarded for certainty becomes more "
                + "certain than it is accurate; smoothing caps that reward. Look at the confidences: with smoothing "
                + "they gather below 1. Whether the calibration "
                + "error falls depends on how overconfident the network was before; too much smoothing "
                + "makes it underconfident."
        )
        {
            Tables =
            [
                new LabTable(
                    "Targets of the true class and of every other class",
                    ["s", "K = 3", "others", "K = 10", "others"],
                    [
                        .. Smoothings.Select(s =>
                            (string[])
                                [
                                    s.ToString("F1", CultureInfo.InvariantCulture),
                                    .. ((int[])[3, 10]).SelectMany(k => Target(s, k)),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    $"ModernCNN, {context.Network}, 10 epochs; validation",
                    ["s", "accuracy", "mean confidence", "calibration error", "loss"],
                    [
                        .. runs.Select(run =>
                            (string[])
                                [
                                    run.Smoothing.ToString("F1", CultureInfo.InvariantCulture),
                                    run.Accuracy.ToString("P1", CultureInfo.InvariantCulture),
                                    run.Confidences.Average().ToString("P1", CultureInfo.InvariantCulture),
                                    run.CalibrationError.ToString("P1", CultureInfo.InvariantCulture),
                                    run.Loss.ToString("F3", CultureInfo.InvariantCulture),
                                ]
                        ),
                    ]
                ),
            ],
            Figures =
            [
                new Figure("label-smoothing", 760, 420)
                {
                    Plot = () =>
                        LabPlots.Ridges(
                            $"Confidence on validation pictures ({context.Network})",
                            "largest probability",
                            [
                                .. runs.Select(run =>
                                    (
                                        string.Create(CultureInfo.InvariantCulture, $"s = {run.Smoothing:F1}"),
                                        run.Confidences
                                    )
                                ),
                            ],
                            0,
                            1
                        ),
                },
            ],
        };
    }

    /// <summary>A table row: the targets after smoothing.</summary>
    /// <param name="smoothing">Share of the target that is spread over all classes.</param>
    /// <param name="classes">Number of classes.</param>
    private static string[] Target(double smoothing, int classes)
    {
        using var scope = NewDisposeScope();
        var target = SoftTargets.Smooth(tensor(new long[] { 1 }), classes, smoothing);
        return
        [
            target[0, 1].item<float>().ToString("F3", CultureInfo.InvariantCulture),
            target[0, 0].item<float>().ToString("F3", CultureInfo.InvariantCulture),
        ];
    }

    private sealed record SmoothedRun(
        double Smoothing,
        double Accuracy,
        double Loss,
        double CalibrationError,
        float[] Confidences
    );

    /// <summary>Trains with one amount of smoothing and measures confidence and calibration.</summary>
    /// <param name="context">Data set and seed.</param>
    /// <param name="smoothing">Share of the target that is spread over all classes.</param>
    private static SmoothedRun Train(LabContext context, double smoothing)
    {
        random.manual_seed(context.Seed);
        using var network = new ModernCnn(Reduced.Options(context));
        LabTrainer.Train(network, context, new LabSettings { Epochs = 10, LabelSmoothing = smoothing });
        var evaluation = LabTrainer.Evaluate(network, context.Data);
        var figures = TestFigures.Of(evaluation, context.Data.Pictures.Validation, context.Data.Pictures.ClassNames);
        using var scope = NewDisposeScope();
        var confidences = tensor(evaluation.Logits)
            .reshape(-1, context.Data.Classes)
            .softmax(1)
            .amax([1])
            .data<float>()
            .ToArray();
        return new SmoothedRun(smoothing, evaluation.Accuracy, evaluation.Loss, figures.CalibrationError, confidences);
    }
}
