using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Onnx.Compare;
using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Compares a quantized model with its float model, side by side on the same batches.</summary>
internal static class FidelityCheck
{
    /// <summary>Compares outputs.</summary>
    /// <param name="reference">The float model.</param>
    /// <param name="quantized">The other.</param>
    /// <param name="batches">What to run.</param>
    /// <param name="heldOut">Whether calibration has not seen them.</param>
    /// <param name="rows">Rows to stop after.</param>
    /// <param name="report">Hears of each batch.</param>
    /// <exception cref="QuantizationException">There is no batch, or no output that can be compared.</exception>
    public static Fidelity Compare(ModelRunner reference, ModelRunner quantized, IEnumerable<QuantizationBatch> batches, bool heldOut, long rows = long.MaxValue, Action<int>? report = null)
    {
        var noise = new Dictionary<string, Noise>(StringComparer.Ordinal);
        var integers = new HashSet<string>(StringComparer.Ordinal);
        long seen = 0, agree = 0, labelled = 0, floatRight = 0, quantizedRight = 0;
        var number = 0;
        var hasClasses = true;
        foreach (var batch in batches)
        {
            using var expected = reference.Run(batch);
            using var actual = quantized.Run(batch);
            var left = expected.Floats().ToArray();
            var right = actual.Floats().ToArray();
            foreach (var (want, got) in left.Zip(right)) NoiseOf(want.Name).Add<float>(want.Tensor.Buffer.Span, got.Tensor.Buffer.Span);
            foreach (var (want, got) in expected.Others().Zip(actual.Others()))
            {
                NoiseOf(want.Name).Add<double>(want.Values, got.Values);
                if (want.IsInteger) integers.Add(want.Name);
            }

            seen += batch.Rows;
            hasClasses &= left.Length > 0 && left[0].Tensor.Dimensions.Length == 2 && left[0].Tensor.Dimensions[1] > 1;
            if (hasClasses)
            {
                int[] before = Largest(left[0].Tensor), after = Largest(right[0].Tensor);
                agree += before.Zip(after).Count(pair => pair.First == pair.Second);
                if (batch.Labels is { } labels)
                {
                    labelled += labels.Count;
                    floatRight += before.Zip(labels).Count(pair => pair.First == pair.Second);
                    quantizedRight += after.Zip(labels).Count(pair => pair.First == pair.Second);
                }
            }

            report?.Invoke(++number);
            if (seen >= rows) break;
        }

        if (seen == 0) throw new QuantizationException($"there are no {(heldOut ? "held-out" : "calibration")} batches to verify with; they are read more than once, so a one-time sequence will not do.");
        if (noise.Count == 0) throw new QuantizationException("the model has no output of numbers, so the quantized model cannot be compared with it. No file was written.");
        return new Fidelity(
            seen,
            hasClasses ? (double)agree / seen : null,
            labelled > 0 ? (double)floatRight / labelled : null,
            labelled > 0 ? (double)quantizedRight / labelled : null,
            [.. noise.Select(pair => Summary(pair.Key, pair.Value, integers.Contains(pair.Key)))],
            heldOut);

        Noise NoiseOf(string output) => noise.TryGetValue(output, out var sum) ? sum : noise[output] = new Noise();
    }

    /// <summary>What the budget misses; null where it holds. NaN never holds.</summary>
    public static string? Miss(Fidelity fidelity, AccuracyBudget budget)
    {
        if (fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after } && !(before - after <= budget.AccuracyDrop))
            return FormattableString.Invariant($"accuracy falls from {before:P2} to {after:P2}; allowed is a loss of {budget.AccuracyDrop:P2}");
        if (fidelity.Agreement is { } agreement && !(agreement >= budget.Agreement))
            return FormattableString.Invariant($"the class is the same in {agreement:P2} of the rows; asked for are {budget.Agreement:P2}");
        foreach (var output in fidelity.Outputs)
        {
            if (output.Equal is { } equal)
            {
                if (!(equal >= budget.Agreement)) return FormattableString.Invariant($"output '{output.Name}' is the same in {equal:P2} of its integers; asked for are {budget.Agreement:P2}");
            }
            else if (!(output.Decibels >= budget.Decibels))
            {
                return FormattableString.Invariant($"output '{output.Name}' has {output.Decibels:F1} dB of signal to noise; asked for are {budget.Decibels:F1}");
            }
        }

        return null;
    }

    private static OutputFidelity Summary(string name, Noise noise, bool isInteger) =>
        new(name, noise.Decibels, noise.Largest, noise.LargestValue) { Equal = isInteger ? noise.Equal : null };

    private static int[] Largest(DenseTensor<float> tensor)
    {
        var (rows, columns) = (tensor.Dimensions[0], tensor.Dimensions[1]);
        var result = new int[rows];
        for (var row = 0; row < rows; row++) result[row] = ArrayComparison.IndexOfLargest<float>(tensor.Buffer.Span.Slice(row * columns, columns));
        return result;
    }
}
