// Tests whether rows may run together in a batch. A dynamic axis 0 does not prove it: a softmax over axis 0, a
// recurrent network whose axis 0 is time, or an int8 model with one scale for the whole batch gives other results in
// a batch. So random rows are run alone and together, and must agree:
//   floats: |together - alone| <= 1e-4 max|alone| (summing float32 in another order changes about 1e-6);
//   all other datatypes: equal.
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Compare;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>Tests whether a model computes each row of a batch independently of the others.</summary>
internal static class RowIndependence
{
    /// <summary>
    /// Largest allowed difference between a row computed alone and in a batch, relative to the largest output.
    /// </summary>
    public const double Tolerance = 1e-4;

    /// <summary>Rows that are run alone and together.</summary>
    private const int Rows = 3;

    /// <summary>Sizes tried for dynamic axes, one after another, until the model runs.</summary>
    private static readonly int[] FreeSizes = [8, 32, 224, 1];

    /// <summary>Tests whether rows may run together in a batch.</summary>
    /// <param name="session">The opened model.</param>
    /// <param name="seed">Seed of the random rows, so that the result is the same each time a model is
    /// loaded.</param>
    /// <returns>Null if rows may run together; otherwise the reason why not.</returns>
    public static string? Check(RuntimeSession session, int seed)
    {
        var signature = session.Signature;
        if (!signature.MayBatch)
            return "axis 0 is not dynamic in every input and output";
        using var memory = new RunMemory();
        string? reason = null;
        foreach (var size in signature.HasFreeAxes ? FreeSizes : [1])
        {
            var random = new Random(seed);
            Tensor[][] rows =
            [
                .. Enumerable.Range(0, Rows).Select(_ => ProbeInputs.Random(signature, random, size, 1)),
            ];
            int[] outputs = [.. Enumerable.Range(0, signature.Outputs.Count)];
            Tensor[][] alone;
            try
            {
                alone = [.. rows.Select(row => session.Run(memory, [row], outputs)[0])];
            }
            catch (ModelRunException error)
            {
                reason = $"it cannot be tested: {error.Message}";
                continue;
            }

            try
            {
                var together = session.Run(memory, rows, outputs);
                return Enumerable
                    .Range(0, Rows)
                    .SelectMany(row => outputs.Select(output => Difference(alone[row][output], together[row][output])))
                    .FirstOrDefault(text => text is not null);
            }
            catch (ModelRunException error)
            {
                return $"it runs a single row, but not a batch of {Rows}: {error.Message}";
            }
        }

        return reason;
    }

    /// <summary>Describes how two tensors differ by more than <see cref="Tolerance"/>; null if they do not.</summary>
    /// <param name="alone">An output of a row that ran alone.</param>
    /// <param name="together">The same output of the same row in a batch.</param>
    public static string? Difference(Tensor alone, Tensor together)
    {
        if (!alone.Shape.SequenceEqual(together.Shape))
            return $"output '{alone.Name}' is {ShapeRules.Text(alone.Shape)} alone and {ShapeRules.Text(together.Shape)} in a batch";
        var isSame = alone.Type switch
        {
            TensorType.FP32 => IsClose(
                MemoryMarshal.Cast<byte, float>(alone.Data.Span),
                MemoryMarshal.Cast<byte, float>(together.Data.Span)
            ),
            TensorType.FP64 or TensorType.FP16 or TensorType.BF16 => IsClose<double>(
                Classification.Numbers(alone),
                Classification.Numbers(together)
            ),
            TensorType.Bytes => alone
                .Strings.Zip(together.Strings)
                .All(pair => pair.First.Span.SequenceEqual(pair.Second.Span)),
            _ => alone.Data.Span.SequenceEqual(together.Data.Span),
        };
        return isSame ? null : $"output '{alone.Name}' of a row depends on the other rows of the batch";
    }

    /// <summary>
    /// Whether two outputs agree. Equal infinities, and NaN at the same position in both, count as equal.
    /// </summary>
    /// <param name="alone">Elements of a row that ran alone.</param>
    /// <param name="together">The same elements, computed in a batch.</param>
    /// <returns>Whether no difference exceeds <see cref="Tolerance"/> times the largest element.</returns>
    private static bool IsClose<T>(ReadOnlySpan<T> alone, ReadOnlySpan<T> together)
        where T : System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var difference = ArrayComparison.Compare(together, alone);
        return difference.LargestAbsolute <= Tolerance * difference.LargestValue;
    }
}
