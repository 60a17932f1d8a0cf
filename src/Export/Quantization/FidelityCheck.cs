using Microsoft.ML.OnnxRuntime.Tensors;

namespace TorchBridge.Export.Quantization;

/// <summary>Compares a quantized model with its float model, side by side on the same batches.</summary>
internal static class FidelityCheck
{
    /// <summary>Signal-to-noise ratios end here: an exact copy has no finite one.</summary>
    public const double Exact = 200;

    /// <summary>Compares outputs.</summary>
    /// <param name="reference">The float model.</param>
    /// <param name="quantized">The other.</param>
    /// <param name="batches">What to run.</param>
    /// <param name="heldOut">Whether calibration has not seen them.</param>
    /// <param name="rows">Rows to stop after.</param>
    /// <param name="report">Hears of each batch.</param>
    /// <exception cref="QuantizationException">There is no batch.</exception>
    public static Fidelity Compare(ModelRunner reference, ModelRunner quantized, IEnumerable<QuantizationBatch> batches, bool heldOut, long rows = long.MaxValue, Action<int>? report = null)
    {
        var noise = new Dictionary<string, Noise>(StringComparer.Ordinal);
        long seen = 0, agree = 0, labelled = 0, floatRight = 0, quantizedRight = 0;
        var number = 0;
        var hasClasses = true;
        foreach (var batch in batches)
        {
            using var expected = reference.Run(batch);
            using var actual = quantized.Run(batch);
            var (left, right) = (expected.Floats().ToArray(), actual.Floats().ToArray());
            foreach (var (a, b) in left.Zip(right)) (noise.TryGetValue(a.Name, out var sum) ? sum : noise[a.Name] = new Noise()).Add(a.Tensor.Buffer.Span, b.Tensor.Buffer.Span);
            seen += Calibrator.Rows(batch);
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
        return new Fidelity(
            seen,
            hasClasses ? (double)agree / seen : null,
            labelled > 0 ? (double)floatRight / labelled : null,
            labelled > 0 ? (double)quantizedRight / labelled : null,
            [.. noise.Select(pair => new OutputFidelity(pair.Key, pair.Value.Decibels, pair.Value.Largest, pair.Value.LargestValue))],
            heldOut);
    }

    /// <summary>What the budget misses; null where it holds. NaN never holds.</summary>
    public static string? Miss(Fidelity fidelity, AccuracyBudget budget)
    {
        if (fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after } && !(before - after <= budget.AccuracyDrop))
            return FormattableString.Invariant($"accuracy falls from {before:P2} to {after:P2}; allowed is a loss of {budget.AccuracyDrop:P2}");
        if (fidelity.Agreement is { } agreement && !(agreement >= budget.Agreement)) return FormattableString.Invariant($"the class is the same in {agreement:P2} of the rows; asked for are {budget.Agreement:P2}");
        foreach (var output in fidelity.Outputs.Where(output => !(output.Decibels >= budget.Decibels)))
            return FormattableString.Invariant($"output '{output.Name}' has {output.Decibels:F1} dB of signal to noise; asked for are {budget.Decibels:F1}");
        return null;
    }

    private static int[] Largest(DenseTensor<float> tensor)
    {
        var (rows, columns) = (tensor.Dimensions[0], tensor.Dimensions[1]);
        var result = new int[rows];
        for (var row = 0; row < rows; row++) result[row] = System.Numerics.Tensors.TensorPrimitives.IndexOfMax(tensor.Buffer.Span.Slice(row * columns, columns));
        return result;
    }

    /// <summary>Sums of squares of a signal and of what another differs by.</summary>
    internal sealed class Noise
    {
        private double signal;
        private double error;

        public double Largest { get; private set; }

        public double LargestValue { get; private set; }

        public double Decibels => error == 0 ? Exact : Math.Min(Exact, 10 * Math.Log10(signal / error));

        public void Add(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
        {
            if (expected.Length != actual.Length) throw new QuantizationException("the quantized model gives another shape than the float model");
            for (var i = 0; i < expected.Length; i++)
            {
                double a = expected[i], d = Math.Abs(a - actual[i]);
                signal += a * a;
                error += d * d;
                if (!(d <= Largest)) Largest = double.IsNaN(d) ? double.PositiveInfinity : d;
                if (Math.Abs(a) > LargestValue) LargestValue = Math.Abs(a);
            }
        }
    }
}
