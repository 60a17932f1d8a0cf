// Expected calibration error: predictions are grouped into bins by their confidence (the largest probability); in each
// bin the share of correct predictions is compared with the mean confidence, and the differences are averaged, weighted
// by bin size. Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3, 15 bins of equal width.
using System.Text.Json.Serialization;
using TorchBridge.Onnx.Compare;
using TorchBridge.Training.Data;
using TorchBridge.Training.Networks;
using TorchBridge.Training.Optimization;

namespace TorchBridge.Training.Reports;

/// <summary>Results of a class in the test part.</summary>
/// <param name="Name">Name of the class.</param>
/// <param name="Accuracy">Share of its pictures that are classified correctly, 0 to 1.</param>
/// <param name="Count">Number of its pictures in the test part.</param>
internal sealed record ClassFigures(string Name, double Accuracy, int Count);

/// <summary>A bin of predictions with similar confidence.</summary>
/// <param name="From">Lower bound of the confidence.</param>
/// <param name="To">Upper bound of the confidence, where the next bin starts.</param>
/// <param name="Confidence">Mean confidence of its predictions; 0 if it is empty.</param>
/// <param name="Accuracy">Share of correct predictions; 0 if it is empty.</param>
/// <param name="Count">Number of predictions in the bin.</param>
internal sealed record CalibrationBin(double From, double To, double Confidence, double Accuracy, int Count);

/// <summary>The results of a network on test pictures, computed from its logits.</summary>
/// <param name="Accuracy">Share of pictures whose largest logit belongs to the correct class.</param>
/// <param name="TopFive">Share of pictures whose class is among the five largest logits.</param>
/// <param name="Loss">Mean cross entropy.</param>
/// <param name="Count">Number of pictures.</param>
/// <param name="CalibrationError">Expected calibration error, 0 to 1.</param>
/// <param name="Classes">Results by class.</param>
/// <param name="Confusion">Number of pictures by [true class][predicted class].</param>
/// <param name="Bins">The non-empty bins of the calibration error.</param>
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

    /// <summary>The views of each picture that were evaluated.</summary>
    public ViewKind Views { get; init; }

    /// <summary>The top-5 accuracy in words, followed by a comma; nothing for up to five classes.</summary>
    [JsonIgnore]
    public string TopFiveText => Evaluation.TopFiveText(TopFive, Classes.Count);

    /// <summary>Computes the results.</summary>
    /// <param name="evaluation">Logits of the test part.</param>
    /// <param name="set">The test part, for its labels.</param>
    /// <param name="classNames">Class names in the model's order.</param>
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
