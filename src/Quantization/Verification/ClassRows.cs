using System.Globalization;
using TorchBridge.Onnx.Compare;
using TorchBridge.Onnx.Contract;
using TorchBridge.Onnx.Graph;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Counts rows of classes: how many stay the same, and how many are right. Rows are those of the output,
/// whatever the inputs have.</summary>
/// <param name="isClassifier">Whether the first output's columns are classes; null where only labels tell.</param>
internal sealed class ClassRows(bool? isClassifier)
{
    /// <summary>Rows that were compared.</summary>
    private long rows;

    /// <summary>Rows of one class in both models.</summary>
    private long agree;

    /// <summary>Rows with a label.</summary>
    private long labelled;

    /// <summary>Labelled rows that the float model gets right.</summary>
    private long floatRight;

    /// <summary>Labelled rows that the quantized model gets right.</summary>
    private long quantizedRight;

    /// <summary>Share of rows with the same class; null where there are none.</summary>
    public double? Agreement => Share(agree, rows);

    /// <summary>Accuracy of the float model; null without labels.</summary>
    public double? FloatAccuracy => Share(floatRight, labelled);

    /// <summary>Accuracy of the quantized model; null without labels.</summary>
    public double? QuantizedAccuracy => Share(quantizedRight, labelled);

    /// <summary>
    /// Whether the columns of a model's first output are classes, as far as the file tells; null where it does not.
    /// </summary>
    /// <param name="model">The float model.</param>
    /// <returns>True where names, metadata, or a Softmax or ArgMax beside the output say so; never false.</returns>
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

    /// <summary>Adds a batch: nothing where the output has no rows of classes.</summary>
    /// <param name="expected">The float model's first output.</param>
    /// <param name="actual">The other's.</param>
    /// <param name="labels">The right classes; null where they are not known.</param>
    /// <param name="number">The batch, for an error.</param>
    /// <exception cref="QuantizationException">There are more or fewer labels than rows.</exception>
    public void Add(OutputValue expected, OutputValue actual, IReadOnlyList<int>? labels, int number)
    {
        if (
            !(isClassifier ?? labels is not null)
            || Classes(expected) is not { } before
            || Classes(actual) is not { } after
        )
            return;
        if (before.Length != after.Length)
            return; // the shapes differ: the output itself is judged by that
        rows += before.Length;
        agree += before.Zip(after).Count(pair => pair.First == pair.Second);
        if (labels is null)
            return;
        if (labels.Count != before.Length)
            throw new QuantizationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"batch {number} has {labels.Count} labels, and output '{expected.Name}' gives "
                        + $"{before.Length} rows; give one label per row"
                )
            );
        labelled += labels.Count;
        floatRight += before.Zip(labels).Count(pair => pair.First == pair.Second);
        quantizedRight += after.Zip(labels).Count(pair => pair.First == pair.Second);
    }

    /// <summary>The class of each row; null for an output that has no rows of classes.</summary>
    /// <param name="output">An output.</param>
    /// <returns>The largest column of each row; null where the output is no table of floats with two columns at
    /// least.</returns>
    private static int[]? Classes(OutputValue output)
    {
        if (output.Shape is not [var rows, var columns and > 1])
            return null;
        if (output.Floats is { } floats)
            return Largest<float>(rows, columns, floats.Span);
        return output.Doubles is { } doubles ? Largest<double>(rows, columns, doubles) : null;
    }

    /// <summary>Index of the largest element of each row.</summary>
    /// <param name="rows">How many there are.</param>
    /// <param name="columns">Elements of each.</param>
    /// <param name="values">Row by row.</param>
    private static int[] Largest<T>(int rows, int columns, ReadOnlySpan<T> values)
        where T : System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var result = new int[rows];
        for (var row = 0; row < rows; row++)
            result[row] = ArrayComparison.IndexOfLargest(values.Slice(row * columns, columns));
        return result;
    }

    /// <summary>A part of a whole, 0 to 1; null where the whole is nothing.</summary>
    /// <param name="part">How many.</param>
    /// <param name="whole">Of how many.</param>
    /// <returns>0 to 1; null of nothing.</returns>
    private static double? Share(long part, long whole) => whole > 0 ? (double)part / whole : null;
}
