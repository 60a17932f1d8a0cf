// What it does: verifies that the exported files give the same results as the network. On the test pictures, TorchSharp
// in eval mode is compared with the ONNX file, with the unfolded ONNX file, and with the zip in stock ML.NET reading the
// picture files. Tolerance: 2e-5 of the largest absolute logit over all pictures, about 330 units in the last place of
// float32. A different top-1 class whose two logits are closer than that is counted as a tie. The zip returns
// probabilities; softmax changes a probability by at most half of a change in the logits, so the same tolerance is
// strict.
using System.Runtime.InteropServices;
using TorchBridge.Inference;
using TorchBridge.Onnx.Compare;
using TorchBridge.Training.Data;

namespace TorchBridge.Training.Parity;

/// <summary>How one way of running the model compares with TorchSharp.</summary>
internal sealed record ParityRow(
    string Name,
    double LargestAbsolute,
    double LargestRelative,
    double Tolerance,
    int Agree,
    IReadOnlyList<int> Ties,
    int Count
)
{
    /// <summary>Whether everything is within tolerance. NaN never passes.</summary>
    public bool Passed => LargestAbsolute <= Tolerance && Agree == Count;
}

/// <summary>Compares the ways of running a model.</summary>
internal static class ParityCheck
{
    /// <summary>Tolerance, as a share of the largest absolute logit.</summary>
    public const double RelativeTolerance = 2e-5;
    private const int BatchSize = 64;

    /// <summary>Compares logits of an ONNX file.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="pictures">The test part.</param>
    /// <param name="expectedLogits">TorchSharp's logits, count x classes.</param>
    public static ParityRow Onnx(string name, string path, PictureSet pictures, float[] expectedLogits)
    {
        using var classifier = ImageClassifier.Load(path);
        var logits = new List<float>(expectedLogits.Length);
        for (var start = 0; start < pictures.Count; start += BatchSize)
        {
            var count = Math.Min(BatchSize, pictures.Count - start);
            foreach (var prediction in classifier.ClassifyPlanes(pictures.Planes(start, count), count))
                logits.AddRange(prediction.Logits);
        }

        return Compare(name, [.. logits], expectedLogits, expectedLogits, classifier.ClassNames.Count);
    }

    /// <summary>Compares probabilities and labels of the zip in stock ML.NET, reading picture files.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="path">The zip.</param>
    /// <param name="files">The test pictures as files, in order.</param>
    /// <param name="classNames">Class names in the model's order.</param>
    /// <param name="expectedLogits">TorchSharp's logits, count x classes.</param>
    public static ParityRow Zip(
        string name,
        string path,
        IReadOnlyList<string> files,
        IReadOnlyList<string> classNames,
        float[] expectedLogits
    ) => Scores(name, StockPipeline.Score(path, files), classNames, expectedLogits);

    /// <summary>Compares probabilities and labels, row by row.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="rows">Label and probabilities of each picture, in order.</param>
    /// <param name="classNames">Class names in the model's order.</param>
    /// <param name="expectedLogits">TorchSharp's logits, count x classes.</param>
    public static ParityRow Scores(
        string name,
        IEnumerable<(string Label, float[] Scores)> rows,
        IReadOnlyList<string> classNames,
        float[] expectedLogits
    )
    {
        var scores = new List<float>(expectedLogits.Length);
        var labels = new List<string>();
        foreach (var (label, row) in rows)
        {
            labels.Add(label);
            scores.AddRange(row);
        }

        var classes = classNames.Count;
        var compared = Compare(name, [.. scores], Softmax(expectedLogits, classes), expectedLogits, classes);
        // The label of a row must be the class of its largest score.
        var mislabelled = Enumerable
            .Range(0, labels.Count)
            .Count(i =>
                labels[i]
                != classNames[
                    ArrayComparison.IndexOfLargest<float>(CollectionsMarshal.AsSpan(scores).Slice(i * classes, classes))
                ]
            );
        return mislabelled == 0 ? compared : compared with { Agree = compared.Agree - mislabelled };
    }

    /// <summary>Compares logits of an ONNX file whose classifier reads picture files.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="files">The test pictures as files, in order.</param>
    /// <param name="expectedLogits">TorchSharp's logits, count x classes.</param>
    public static ParityRow Files(string name, string path, IReadOnlyList<string> files, float[] expectedLogits)
    {
        using var classifier = ImageClassifier.Load(path);
        return Compare(
            name,
            [.. classifier.ClassifyBatch(files).SelectMany(prediction => prediction.Logits)],
            expectedLogits,
            expectedLogits,
            classifier.ClassNames.Count
        );
    }

    /// <summary>Compares numbers row by row.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="actual">Logits or probabilities, count x classes.</param>
    /// <param name="expected">TorchSharp's values.</param>
    /// <param name="logits">TorchSharp's logits, which determine the tolerance and ties.</param>
    /// <param name="classes">Number of classes.</param>
    internal static ParityRow Compare(string name, float[] actual, float[] expected, float[] logits, int classes)
    {
        var tolerance = RelativeTolerance * ArrayComparison.LargestMagnitude<float>(logits);
        if (actual.Length != expected.Length)
            return new ParityRow(
                name,
                double.PositiveInfinity,
                double.PositiveInfinity,
                tolerance,
                0,
                [],
                expected.Length / classes
            );
        var difference = ArrayComparison.Compare<float>(actual, expected);
        var rows = ArrayComparison.Rows<float>(actual, logits, classes, tolerance);
        // NaN never passes, not even if it was expected.
        var largest = difference.IsFinite ? difference.LargestAbsolute : double.PositiveInfinity;
        return new ParityRow(
            name,
            largest,
            difference.LargestRelative,
            tolerance,
            rows.Agree,
            rows.Ties,
            expected.Length / classes
        );
    }

    /// <summary>Probabilities of each row, computed in float64 and rounded once.</summary>
    /// <param name="logits">count x classes.</param>
    /// <param name="classes">Number of classes.</param>
    private static float[] Softmax(float[] logits, int classes)
    {
        var result = new float[logits.Length];
        var probabilities = new double[classes];
        for (var row = 0; row < logits.Length; row += classes)
        {
            ArrayComparison.Softmax<float>(logits.AsSpan(row, classes), probabilities);
            for (var index = 0; index < classes; index++)
                result[row + index] = (float)probabilities[index];
        }

        return result;
    }
}
