using TorchBridge.Quantization.Execution;

namespace TorchBridge.Quantization.Verification;

/// <summary>Compares a quantized model with its float model, side by side on the same batches.</summary>
/// <param name="reference">The float model.</param>
/// <param name="isClassifier">Whether the first output's columns are classes; null if only labels can tell.</param>
internal sealed class FidelityCheck(ModelRunner reference, bool? isClassifier)
{
    /// <summary>Runs both models over batches and compares all outputs.</summary>
    /// <param name="quantized">The quantized model.</param>
    /// <param name="batches">The batches to run.</param>
    /// <param name="heldOut">Whether the batches were not used for calibration.</param>
    /// <param name="rows">Number of rows after which to stop; the batch that reaches it is compared
    /// completely.</param>
    /// <param name="report">Called after each batch with its number, from 1; may be null.</param>
    /// <returns>The comparison over all batches, weighted by their number of elements.</returns>
    /// <exception cref="QuantizationException">There are no batches or no values to compare.</exception>
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
            // Sequences may differ in length: an item without a counterpart counts as another shape.
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
                $"there are no {kind} batches to verify with. They are enumerated more than once, so pass a "
                    + $"collection instead of a sequence that can be read only once."
            );
        if (noise.Values.All(sum => sum.Count == 0))
            throw new QuantizationException(
                $"the {kind} batches produce no output with any elements, so the quantized model cannot be "
                    + $"compared with the float model. No file was written."
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

    /// <summary>The first condition of the budget that is not met; null if all are. NaN never meets a
    /// condition.</summary>
    /// <param name="fidelity">The result of a comparison.</param>
    /// <param name="budget">The accepted loss.</param>
    public static BudgetMiss? Miss(Fidelity fidelity, AccuracyBudget budget)
    {
        var first = fidelity.Outputs[0].Name;
        if (
            fidelity is { FloatAccuracy: { } before, QuantizedAccuracy: { } after }
            && !(before - after <= budget.AccuracyDrop)
        )
            return Missed(
                first,
                $"accuracy falls from {before:P2} to {after:P2}; the budget allows a loss of {budget.AccuracyDrop:P2}"
            );
        if (fidelity.Agreement is { } agreement && !(agreement >= budget.Agreement))
            return Missed(
                first,
                $"the class is the same in {agreement:P2} of the rows; the budget requires {budget.Agreement:P2}"
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
                        $"output '{output.Name}' is equal in {equal:P2} of its elements; the budget requires {budget.Agreement:P2}"
                    );
            }
            else if (double.IsInfinity(output.LargestAbsolute))
            {
                return Missed(
                    output.Name,
                    $"output '{output.Name}' has NaN or infinity where the float model has another value, or vice versa"
                );
            }
            else if (output.Decibels is var ratio && !(ratio >= budget.Decibels))
            {
                return Missed(
                    output.Name,
                    $"output '{output.Name}' has a signal-to-noise ratio of {ratio:F1} dB; the budget requires {budget.Decibels:F1} dB"
                );
            }
        }

        return null;
    }

    /// <summary>Creates a miss whose numbers are formatted with the invariant culture.</summary>
    /// <param name="output">The output.</param>
    /// <param name="text">The limit and the actual value.</param>
    private static BudgetMiss Missed(string output, FormattableString text) =>
        new(FormattableString.Invariant(text), output);

    /// <summary>The result for one output.</summary>
    /// <param name="name">The output.</param>
    /// <param name="noise">The sums over all batches.</param>
    private static OutputFidelity Summary(string name, Noise noise) =>
        new(name, noise.Decibels, noise.Largest, noise.LargestValue)
        {
            Equal = noise.IsExact ? noise.Equal : null,
            OtherShapes = noise.OtherShapes,
        };
}
