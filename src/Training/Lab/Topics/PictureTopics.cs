using System.Globalization;
using TorchBridge.Onnx;
using TorchBridge.Training.Data;
using TorchBridge.Training.Regularization;
using TorchBridge.Training.Reports;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchBridge.Training.Lab.Topics;

/// <summary>Contact sheets of augmented and mixed pictures.</summary>
internal static class PictureTopics
{
    /// <summary>The sheet of augmentations, with figures on how much each changes.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Augmentations(LabContext context)
    {
        var set = context.Data.Pictures.Training;
        var (png, width, height) = AugmentationSheet.Augmentations(set, context.Data.Pictures.ClassNames);
        return new LabPage(
            "augmentations",
            "Augmentation: the same thing, seen differently",
            "Each row is a picture, each pair of columns two draws of one technique. Ask for each: would I still "
                + "give it the same label? If yes, the network learns that this change does not matter; if no, the "
                + "label is now wrong. Digits must not be flipped, while a disc may be rotated by any angle. The "
                + "changes depend on seed, epoch and picture only, so a run can be repeated."
        )
        {
            Tables =
            [
                new LabTable(
                    "How much each changes the pixels: mean absolute difference from the original, out of 255, "
                        + "and share of black pixels",
                    ["technique", "difference", "black"],
                    [.. AugmentationSheet.Techniques.Select(technique => Change(set, technique))]
                ),
            ],
            Figures = [new Figure("augmentations", width, height) { Png = png }],
        };
    }

    /// <summary>The sheet of mixed pictures, with the loss of a mixed target.</summary>
    /// <param name="context">Data set and seed.</param>
    public static LabPage Mixing(LabContext context)
    {
        var (png, width, height) = AugmentationSheet.Mixing(
            context.Data.Pictures.Training,
            context.Data.Pictures.ClassNames
        );
        var draws = ((double[])[0.2, 1, 4])
            .Select(alpha =>
                (
                    Alpha: alpha,
                    Lambdas: Enumerable
                        .Range(0, 4000)
                        .Select(i =>
                        {
                            var draw = new Draw(context.Seed, 41, i);
                            return (float)draw.Beta(alpha);
                        })
                        .ToArray()
                )
            )
            .ToArray();
        return new LabPage(
            "mixup",
            "Mixup, CutMix, cutout: pictures between classes, and with holes",
            "Mixup blends two pictures and their labels by a factor lambda; CutMix pastes a box of one into the "
                + "other and shares the label by area; cutout removes a square and keeps the label. The caption "
                + "shows the resulting label. Lambda is drawn from Beta(alpha, alpha): a small alpha leaves most "
                + "pictures nearly unmixed, 1 draws uniformly, a large alpha mixes half and half. The loss is one "
                + "cross entropy "
                + "with the mixed target: lambda times the loss for the first label, plus 1 - lambda times that for the second."
        )
        {
            Tables =
            [
                new LabTable(
                    "Lambda of 4,000 draws",
                    ["alpha", "mean", "sigma", "nearly unmixed (below 0.1 or above 0.9)"],
                    [
                        .. draws.Select(row =>
                            (string[])
                                [
                                    Numbers.Short(row.Alpha, 2),
                                    row.Lambdas.Average().ToString("F3", CultureInfo.InvariantCulture),
                                    Math.Sqrt(row.Lambdas.Average(l => (l - 0.5) * (l - 0.5)))
                                        .ToString("F3", CultureInfo.InvariantCulture),
                                    (row.Lambdas.Count(l => l is < 0.1f or > 0.9f) / 4000.0).ToString(
                                        "P0",
                                        CultureInfo.InvariantCulture
                                    ),
                                ]
                        ),
                    ]
                ),
                new LabTable(
                    "A mixed target is a mixed loss: logits (2, 1, -1), classes 0 and 2, lambda 0.7",
                    ["CE of the mixed target", "0.7 CE(0) + 0.3 CE(2)"],
                    [MixedLoss()]
                ),
            ],
            Figures =
            [
                new Figure("mixup", width, height) { Png = png },
                new Figure("lambda", 760, 420)
                {
                    Plot = () =>
                        LabPlots.Ridges(
                            "Lambda by alpha",
                            "lambda",
                            [
                                .. draws.Select(row =>
                                    (
                                        string.Create(
                                            CultureInfo.InvariantCulture,
                                            $"alpha {Numbers.Short(row.Alpha, 2)}"
                                        ),
                                        row.Lambdas
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

    /// <summary>
    /// A table row: mean change per pixel and share of black pixels, over a hundred pictures.
    /// </summary>
    /// <param name="set">The pictures.</param>
    /// <param name="technique">Its name and options.</param>
    private static string[] Change(PictureSet set, (string Name, AugmentationOptions Options) technique)
    {
        double difference = 0;
        long black = 0,
            pixels = 0;
        float[] plain = new float[set.Stride],
            changed = new float[set.Stride];
        for (var index = 0; index < Math.Min(100, set.Count); index++)
        {
            Draw a = new(1, index),
                b = new(1, index);
            Augmentation.Apply(set.Picture(index), set.Height, set.Width, AugmentationOptions.None, ref a, plain);
            Augmentation.Apply(set.Picture(index), set.Height, set.Width, technique.Options, ref b, changed);
            difference += plain.Zip(changed, (p, c) => Math.Abs(p - c)).Average();
            for (var at = 0; at < changed.Length; at += 3)
                black += changed[at] + changed[at + 1] + changed[at + 2] == 0 ? 1 : 0;
            pixels += changed.Length / 3;
        }

        return
        [
            technique.Name,
            (difference / Math.Min(100, set.Count)).ToString("F1", CultureInfo.InvariantCulture),
            ((double)black / pixels).ToString("P1", CultureInfo.InvariantCulture),
        ];
    }

    private static string[] MixedLoss()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[] { 2f, 1f, -1f }).view(1, 3);
        double Loss(params float[] target) => SoftTargets.CrossEntropy(logits, tensor(target).view(1, 3)).ToDouble();
        return
        [
            Loss(0.7f, 0, 0.3f).ToString("F6", CultureInfo.InvariantCulture),
            ((0.7 * Loss(1, 0, 0)) + (0.3 * Loss(0, 0, 1))).ToString("F6", CultureInfo.InvariantCulture),
        ];
    }
}
