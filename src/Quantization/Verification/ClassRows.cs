using System.Globalization;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Counts rows of classes: how many agree, and how many are correct. Rows are those of the output, whatever
/// the rows of the inputs.</summary>
/// <param name="isClassifier">Whether the first output's columns are classes; null if only labels can tell.</param>
internal sealed class ClassRows(bool? isClassifier)
{
    /// <summary>Number of rows compared.</summary>
    private long rows;

    /// <summary>Number of rows with the same class in both models.</summary>
    private long agree;

    /// <summary>Number of rows with a label.</summary>
    private long labelled;

    /// <summary>Number of labelled rows that the float model classifies correctly.</summary>
    private long floatRight;

    /// <summary>Number of labelled rows that the quantized model classifies correctly.</summary>
    private long quantizedRight;

    /// <summary>Share of rows with the same class; null if there are no rows.</summary>
    public double? Agreement => Share(agree, rows);

    /// <summary>Accuracy of the float model; null without labels.</summary>
    public double? FloatAccuracy => Share(floatRight, labelled);

    /// <summary>Accuracy of the quantized model; null without labels.</summary>
    public double? QuantizedAccuracy => Share(quantizedRight, labelled);

    /// <summary>
    /// Whether the columns of a model's first output are classes, as far as the file shows; null if it does not.
    /// </summary>
    /// <param name="model">The float model.</param>
    /// <returns>True if names, metadata, or an adjacent Softmax or ArgMax say so; never false.</returns>
    public static bool? Of(OnnxGraph model)
    {
        if (model.Outputs.Count == 0)
            return null;
        var name = model.Outputs[0].Name;
        var index = model.Index();
        var isNamed =
            name is ModelNames.Logits or ModelNames.Probabilities
            || model.Metadata.ContainsKey(MetadataKeys.ClassNames);
        var isSoftmax =
            index.Producer(name) is { StandardType: "Softmax" or "LogSoftmax" }
            || index.Readers(name).Any(node => node.StandardType is "Softmax" or "LogSoftmax" or "ArgMax");
        return isNamed || isSoftmax ? true : null;
    }

    /// <summary>Adds a batch; does nothing if the output has no rows of classes.</summary>
    /// <param name="expected">The float model's first output.</param>
    /// <param name="actual">The quantized model's first output.</param>
    /// <param name="labels">The correct classes; null if unknown.</param>
    /// <param name="number">Number of the batch, for error messages.</param>
    /// <exception cref="QuantizationException">The number of labels differs from the number of rows.</exception>
    public void Add(OutputValue expected, OutputValue actual, IReadOnlyList<int>? labels, int number)
    {
        if (
            !(isClassifier ?? labels is not null)
            || Classes(expected) is not { } before
            || Classes(actual) is not { } after
        )
            return;
        if (before.Length != after.Length)
            return; // the shapes differ, which is reported for the output itself
        rows += before.Length;
        agree += before.Zip(after).Count(pair => pair.First == pair.Second);
        if (labels is null)
            return;
        if (labels.Count != before.Length)
            throw new QuantizationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"batch {number} has {labels.Count} labels, but output '{expected.Name}' has {before.Length} "
                        + $"rows; pass one label per row"
                )
            );
        labelled += labels.Count;
        floatRight += before.Zip(labels).Count(pair => pair.First == pair.Second);
        quantizedRight += after.Zip(labels).Count(pair => pair.First == pair.Second);
    }

    /// <summary>The class of each row; null for an output that has no rows of classes.</summary>
    /// <param name="output">An output.</param>
    /// <returns>The largest column of each row; null if the output is not a table of floats with at least two
    /// columns.</returns>
    private static int[]? Classes(OutputValue output)
    {
        if (output.Shape is not [var rows, var columns and > 1])
            return null;
        if (output.Floats is { } floats)
            return Largest<float>(rows, columns, floats.Span);
        return output.Doubles is { } doubles ? Largest<double>(rows, columns, doubles) : null;
    }

    /// <summary>Index of the largest element of each row.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of elements per row.</param>
    /// <param name="values">The elements, row by row.</param>
    private static int[] Largest<T>(int rows, int columns, ReadOnlySpan<T> values)
        where T : System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var result = new int[rows];
        for (var row = 0; row < rows; row++)
            result[row] = ArrayComparison.IndexOfLargest(values.Slice(row * columns, columns));
        return result;
    }

    /// <summary>A part as a fraction of the whole; null if the whole is 0.</summary>
    /// <param name="part">Count of the part.</param>
    /// <param name="whole">Count of the whole.</param>
    /// <returns>From 0 to 1, or null.</returns>
    private static double? Share(long part, long whole) => whole > 0 ? (double)part / whole : null;
}
