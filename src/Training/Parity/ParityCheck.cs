// What it does: proves that the files say what the network says. Over the test pictures, TorchSharp in eval mode is
// compared with the ONNX file, with its unfolded twin, and with the zip in stock ML.NET reading the picture files.
// Tolerance: 2e-5 of the largest absolute logit over all pictures, some 330 units in the last place of float32. A
// top-1 that differs where the two logits lie closer than that is a tie, and counted. The zip gives probabilities;
// softmax moves a probability by at most half of what it moves the logits, so the same tolerance is strict.
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
    /// <summary>Whether nothing is out of tolerance. NaN never passes.</summary>
    public bool Passed => LargestAbsolute <= Tolerance && Agree == Count;
}

/// <summary>Compares the ways of running a model.</summary>
internal static class ParityCheck
{
    /// <summary>Share of the largest absolute logit that a difference may have.</summary>
    public const double RelativeTolerance = 2e-5;
    private const int BatchSize = 64;

    /// <summary>Compares logits of an ONNX file.</summary>
    /// <param name="name">Name of the row.</param>
    /// <param name="path">The ONNX file.</param>
    /// <param name="pictures">The test part.</param>
    /// <param name="expectedLogits">TorchSharp's, count x classes.</param>
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
    /// <param name="files">The test pictures as files, in their order.</param>
    /// <param name="classNames">In the model's order.</param>
    /// <param name="expectedLogits">TorchSharp's, count x classes.</param>
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
    /// <param name="classNames">In the model's order.</param>
    /// <param name="expectedLogits">TorchSharp's, count x classes.</param>
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
        // The label that a row says must be the class of its own largest score.
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
    /// <param name="files">The test pictures as files, in their order.</param>
    /// <param name="expectedLogits">TorchSharp's, count x classes.</param>
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
    /// <param name="expected">The same of TorchSharp.</param>
    /// <param name="logits">TorchSharp's logits, which decide the tolerance and what is a tie.</param>
    /// <param name="classes">How many.</param>
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
        // NaN never passes, not even where it was expected.
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

    /// <summary>Probabilities of each row, in float64, rounded once.</summary>
    /// <param name="logits">count x classes.</param>
    /// <param name="classes">How many.</param>
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
