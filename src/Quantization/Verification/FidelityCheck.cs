using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Compares a quantized model with its float model, side by side on the same batches.</summary>
/// <param name="reference">The float model.</param>
/// <param name="isClassifier">Whether the first output's columns are classes; null where only labels tell.</param>
internal sealed class FidelityCheck(ModelRunner reference, bool? isClassifier)
{
    /// <summary>Runs both models over batches and compares all outputs.</summary>
    /// <param name="quantized">The other model.</param>
    /// <param name="batches">What to run.</param>
    /// <param name="heldOut">Whether calibration has not seen them.</param>
    /// <param name="rows">Rows to stop after; the batch that reaches them is compared whole.</param>
    /// <param name="report">Called after each batch, with its number from 1; null for nobody.</param>
    /// <returns>Sums over all batches; batches count by their elements, not each the same.</returns>
    /// <exception cref="QuantizationException">There is no batch, or nothing that can be compared.</exception>
    public Fidelity Compare(
        ModelRunner quantized,
        IEnumerable<QuantizationBatch> batches,
        bool heldOut,
        long rows = long.MaxValue,
        Action<int>? report = null
    )
    {
        var noise = new Dictionary<string, Noise>(StringComparer.Ordinal);
        var classes = new ClassRows(isClassifier);
        long seen = 0;
        var number = 0;
        foreach (var batch in batches)
        {
            using var expected = reference.Run(batch);
            using var actual = quantized.Run(batch);
            OutputValue[] left = [.. expected.Values()],
                right = [.. actual.Values()];
            // Sequences may differ in length: what has no partner has another shape.
            foreach (var name in left.Concat(right).Select(value => value.Name).Distinct(StringComparer.Ordinal))
            {
                OutputValue[] wanted = [.. left.Where(value => value.Name == name)],
                    got = [.. right.Where(value => value.Name == name)];
                if (!noise.TryGetValue(name, out var sum))
                    noise[name] = sum = new Noise();
                for (var index = 0; index < Math.Max(wanted.Length, got.Length); index++)
                {
                    var missing = new OutputValue(name, [-1]);
                    sum.Add(index < wanted.Length ? wanted[index] : missing, index < got.Length ? got[index] : missing);
                }
            }

            number++;
            if (left.Length > 0 && right.Length > 0)
                classes.Add(left[0], right[0], batch.Labels, number);
            seen += batch.Rows;
            report?.Invoke(number);
            if (seen >= rows)
                break;
        }

        var kind = heldOut ? "held-out" : "calibration";
        if (number == 0)
            throw new QuantizationException(
                $"there are no {kind} batches to verify with; they are read more than once, so a one-time sequence will not do."
            );
        if (noise.Values.All(sum => sum.Count == 0))
            throw new QuantizationException(
                $"the {kind} batches give no output with an element in it, so the quantized model cannot "
                    + "be compared with the float model. No file was written."
            );
        return new Fidelity(
            seen,
            classes.Agreement,
            classes.FloatAccuracy,
            classes.QuantizedAccuracy,
            [.. noise.Select(pair => Summary(pair.Key, pair.Value))],
            heldOut
        );
    }

    /// <summary>What the budget misses; null where it holds. NaN never holds.</summary>
    /// <param name="fidelity">What a comparison gave.</param>
    /// <param name="budget">What is allowed.</param>
    public static BudgetMiss? Miss(Fidelity fidelity, AccuracyBudget budget)
    {
        var first = fidelity.Outputs[0].Name;
        if (
            fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after }
            && !(before - after <= budget.AccuracyDrop)
        )
            return Missed(
                first,
                $"accuracy falls from {before:P2} to {after:P2}; allowed is a loss of {budget.AccuracyDrop:P2}"
            );
        if (fidelity.Agreement is { } agreement && !(agreement >= budget.Agreement))
            return Missed(
                first,
                $"the class is the same in {agreement:P2} of the rows; required are {budget.Agreement:P2}"
            );
        foreach (var output in fidelity.Outputs)
        {
            if (output.OtherShapes > 0)
                return Missed(
                    output.Name,
                    $"output '{output.Name}' differs in shape from the float model's in {output.OtherShapes} batches"
                );
            if (output.Equal is { } equal)
            {
                if (!(equal >= budget.Agreement))
                    return Missed(
                        output.Name,
                        $"output '{output.Name}' is the same in {equal:P2} of its elements; required are {budget.Agreement:P2}"
                    );
            }
            else if (double.IsInfinity(output.LargestAbsolute))
            {
                return Missed(
                    output.Name,
                    $"output '{output.Name}' has NaN or infinity on one side only, or another one than the float model's"
                );
            }
            else if (!(output.Decibels >= budget.Decibels))
            {
                return Missed(
                    output.Name,
                    $"output '{output.Name}' has {output.Decibels:F1} dB of signal to noise; required are {budget.Decibels:F1}"
                );
            }
        }

        return null;
    }

    /// <summary>A miss, with its numbers in the invariant culture.</summary>
    /// <param name="output">The output.</param>
    /// <param name="text">What was allowed and what is.</param>
    private static BudgetMiss Missed(string output, FormattableString text) =>
        new(FormattableString.Invariant(text), output);

    /// <summary>What the sums of one output come to.</summary>
    /// <param name="name">The output.</param>
    /// <param name="noise">All of its batches.</param>
    private static OutputFidelity Summary(string name, Noise noise) =>
        new(name, noise.Decibels, noise.Largest, noise.LargestValue)
        {
            Equal = noise.IsExact ? noise.Equal : null,
            OtherShapes = noise.OtherShapes,
        };
}
