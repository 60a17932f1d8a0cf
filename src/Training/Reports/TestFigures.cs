// Expected calibration error: predictions are sorted into bins by their confidence (the largest probability); in each
// bin the share that is right is compared with the mean confidence, and the differences are averaged with the bins'
// weights. Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3, 15 bins of equal width.
using TorchBridge.Onnx.Compare;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>A class in the test part.</summary>
/// <param name="Name">Name of the class.</param>
/// <param name="Accuracy">Share of its pictures that are right, 0 to 1.</param>
/// <param name="Count">Its pictures in the test part.</param>
internal sealed record ClassFigures(string Name, double Accuracy, int Count);

/// <summary>Predictions of about the same confidence.</summary>
/// <param name="From">The least confidence in it.</param>
/// <param name="To">The confidence at which the next one begins.</param>
/// <param name="Confidence">Mean confidence of its predictions; 0 where it is empty.</param>
/// <param name="Accuracy">Share of them that is right; 0 where it is empty.</param>
/// <param name="Count">How many predictions it holds.</param>
internal sealed record CalibrationBin(double From, double To, double Confidence, double Accuracy, int Count);

/// <summary>What there is to say of a network on test pictures, all from its logits.</summary>
/// <param name="Accuracy">Share of pictures whose largest logit is the right class.</param>
/// <param name="TopFive">Share of pictures whose class is among the five largest.</param>
/// <param name="Loss">Mean cross entropy.</param>
/// <param name="Count">Pictures.</param>
/// <param name="CalibrationError">Expected calibration error, 0 to 1.</param>
/// <param name="Classes">By class.</param>
/// <param name="Confusion">Pictures by [true class][predicted class].</param>
/// <param name="Bins">The bins of the calibration error that hold any picture.</param>
internal sealed record TestFigures(
    double Accuracy,
    double TopFive,
    double Loss,
    int Count,
    double CalibrationError,
    IReadOnlyList<ClassFigures> Classes,
    int[][] Confusion,
    IReadOnlyList<CalibrationBin> Bins
)
{
    private const int BinCount = 15;

    /// <summary>Which views of each picture these are figures of.</summary>
    public ViewKind Views { get; init; }

    /// <summary>Computes them.</summary>
    /// <param name="evaluation">Logits of the test part.</param>
    /// <param name="set">The test part, for its labels.</param>
    /// <param name="classNames">In the model's order.</param>
    public static TestFigures Of(Evaluation evaluation, PictureSet set, IReadOnlyList<string> classNames)
    {
        var classes = classNames.Count;
        var confusion = Enumerable.Range(0, classes).Select(_ => new int[classes]).ToArray();
        var bins = new (double Confidence, int Right, int Count)[BinCount];
        var probabilities = new double[classes];
        for (var index = 0; index < set.Count; index++)
        {
            var logits = evaluation.Logits.AsSpan(index * classes, classes);
            ArrayComparison.Softmax<float>(logits, probabilities);
            var predicted = ArrayComparison.IndexOfLargest<float>(logits);
            var confidence = probabilities[predicted];
            confusion[set.Labels[index]][predicted]++;
            ref var bin = ref bins[Math.Min(BinCount - 1, (int)(confidence * BinCount))];
            bin = (bin.Confidence + confidence, bin.Right + (predicted == set.Labels[index] ? 1 : 0), bin.Count + 1);
        }

        var filled = bins.Select((bin, i) => (bin, i))
            .Where(item => item.bin.Count > 0)
            .Select(item => new CalibrationBin(
                (double)item.i / BinCount,
                (item.i + 1.0) / BinCount,
                item.bin.Confidence / item.bin.Count,
                (double)item.bin.Right / item.bin.Count,
                item.bin.Count
            ))
            .ToArray();
        return new TestFigures(
            evaluation.Accuracy,
            evaluation.TopFive,
            evaluation.Loss,
            set.Count,
            filled.Sum(bin => Math.Abs(bin.Accuracy - bin.Confidence) * bin.Count) / set.Count,
            [
                .. classNames.Select(
                    (name, c) =>
                        new ClassFigures(
                            name,
                            (double)confusion[c][c] / Math.Max(1, confusion[c].Sum()),
                            confusion[c].Sum()
                        )
                ),
            ],
            confusion,
            filled
        )
        {
            Views = evaluation.Views,
        };
    }
}
