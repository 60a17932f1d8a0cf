// Whether rows may run together. A free axis 0 does not say so: a softmax over axis 0, a recurrent network whose axis
// 0 is time, an int8 model whose scale is of the whole batch answer otherwise. So random rows are run alone and
// together, and must give the same:
//   |together - alone| <= 1e-4 max|alone| for floats (float32 sums in another order show about 1e-6), every other
// datatype equal.
using System.Runtime.InteropServices;
using TorchBridge.Onnx.Compare;
using TorchBridge.Serving.Protocol;
using TorchBridge.Serving.Runtime;

namespace TorchBridge.Serving.Batching;

/// <summary>Tries out whether a model computes each row by itself.</summary>
internal static class RowIndependence
{
    /// <summary>Largest difference between a row alone and in a batch, as a share of the largest output.</summary>
    public const double Tolerance = 1e-4;

    /// <summary>Rows that are run alone and together.</summary>
    private const int Rows = 3;

    /// <summary>What is tried for a free axis, one after another, until the model runs.</summary>
    private static readonly int[] FreeSizes = [8, 32, 224, 1];

    /// <summary>Tries it out.</summary>
    /// <param name="session">The opened model.</param>
    /// <param name="seed">Decides the random rows, so that a model is judged the same each time it is loaded.</param>
    /// <returns>Null where rows may run together; else why not.</returns>
    public static string? Check(RuntimeSession session, int seed)
    {
        var signature = session.Signature;
        if (!signature.MayBatch)
            return "axis 0 of its inputs and outputs is not free everywhere";
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
                reason = $"it cannot be tried out: {error.Message}";
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
                return $"it runs one row, but not {Rows} together: {error.Message}";
            }
        }

        return reason;
    }

    /// <summary>How two tensors differ by more than <see cref="Tolerance"/>; null where they do not.</summary>
    /// <param name="alone">An output of one row by itself.</param>
    /// <param name="together">The same row of a batch.</param>
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
        return isSame ? null : $"output '{alone.Name}' of a row depends on the rows beside it";
    }

    /// <summary>Equal infinities, and NaN in both places, are the model's own.</summary>
    /// <param name="alone">Elements of a row that ran by itself.</param>
    /// <param name="together">The same elements out of the batch.</param>
    /// <returns>Whether no difference is above <see cref="Tolerance"/> of the largest element.</returns>
    private static bool IsClose<T>(ReadOnlySpan<T> alone, ReadOnlySpan<T> together)
        where T : System.Numerics.IBinaryFloatingPointIeee754<T>
    {
        var difference = ArrayComparison.Compare(together, alone);
        return difference.LargestAbsolute <= Tolerance * difference.LargestValue;
    }
}
