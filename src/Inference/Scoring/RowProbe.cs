// Whether rows can be batched is not visible in a graph: a Reshape inside may fix the batch, a Softmax may run along
// it, a norm may mix its rows. So it is tested: three rows run together must give the same results as each of them
// alone. The rows are synthetic and differ in magnitude, which reveals a scale computed over the batch. If the
// network rejects all of them (an index out of range, a size that does not match), the test is inconclusive and
// repeated with the first rows of the data.
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using TorchBridge.Inference.Sessions;

namespace TorchBridge.Inference.Scoring;

/// <summary>Tests whether the rows of a model depend on each other when it is opened.</summary>
internal static class RowProbe
{
    private const int Rows = 3;
    private const long LargestRow = 1 << 22;
    private static readonly int[] FreeSizes = [4, 1, 7, 16, 32];
    private static readonly double[] RowScales = [1, 30, 0.01];

    /// <summary>Why rows cannot be scored together; null if they can or if the test is inconclusive.</summary>
    /// <param name="session">The opened model.</param>
    /// <param name="inputs">Names of the inputs.</param>
    /// <param name="outputs">Names of the outputs.</param>
    public static string? Find(ModelSession session, IReadOnlyList<string> inputs, IReadOnlyList<string> outputs)
    {
        foreach (
            var size in session.Inputs.Values.Any(info => info.Dimensions.Skip(1).Any(dim => dim <= 0))
                ? FreeSizes
                : FreeSizes[..1]
        )
        {
            foreach (var isSmall in (bool[])[false, true])
            {
                if (Try(session, inputs, outputs, size, isSmall, out var reason))
                    return reason;
            }
        }

        return null;
    }

    /// <summary>Compares rows scored together with the same rows scored alone.</summary>
    /// <param name="together">One entry per output; null if an output's axis 0 is not the batch.</param>
    /// <param name="alone">One entry per row, each with one entry per output.</param>
    /// <param name="outputs">Names of the outputs.</param>
    /// <returns>Why they cannot be scored together; null if they can.</returns>
    public static string? Compare(
        IReadOnlyList<OutputRows?> together,
        IReadOnlyList<IReadOnlyList<OutputRows>> alone,
        IReadOnlyList<string> outputs
    )
    {
        for (var position = 0; position < outputs.Count; position++)
        {
            if (together[position] is not { } rows)
                return $"axis 0 of its output '{outputs[position]}' is not the batch";
            for (var row = 0; row < alone.Count; row++)
            {
                if (!rows.Agrees(row, alone[row][position], 0))
                    return $"its rows depend on each other: the output '{outputs[position]}' of a row changes "
                        + $"with the other rows in the batch";
            }
        }

        return null;
    }

    /// <summary>
    /// Tries synthetic rows of one size; false if the network rejects all of them, which is inconclusive.
    /// </summary>
    private static bool Try(
        ModelSession session,
        IReadOnlyList<string> inputs,
        IReadOnlyList<string> outputs,
        int size,
        bool isSmall,
        out string? reason
    )
    {
        reason = null;
        var shapes = inputs
            .Select(input =>
                session.Inputs[input].Dimensions.Skip(1).Select(dim => dim > 0 ? (long)dim : size).ToArray()
            )
            .ToArray();
        if (shapes.Any(shape => shape.Aggregate(1.0, (product, dim) => product * dim) > LargestRow))
            return false;
        var data = inputs
            .Select((input, i) => new Made(session.Inputs[input].ElementDataType, shapes[i], isSmall, seed: i))
            .ToArray();
        var alone = new List<OutputRows[]>();
        try
        {
            for (var row = 0; row < Rows; row++)
                alone.Add(Run(session, inputs, outputs, data, row, 1)!);
        }
        catch (OnnxRuntimeException)
        {
            return false;
        }

        try
        {
            reason = Compare(Run(session, inputs, outputs, data, 0, Rows), alone, outputs);
        }
        catch (OnnxRuntimeException)
        {
            reason = "a size inside the model is fixed, so it accepts only one row at a time";
        }

        return true;
    }

    /// <summary>Runs the model once on synthetic rows.</summary>
    private static OutputRows[] Run(
        ModelSession session,
        IReadOnlyList<string> inputs,
        IReadOnlyList<string> outputs,
        Made[] data,
        int start,
        int rows
    )
    {
        var values = data.Select(input => input.ToOrt(start, rows)).ToArray();
        try
        {
            return session.Run([.. inputs], values, [.. outputs], results =>
                results.Select((result, i) => OutputRows.Of(result, rows, outputs[i])!).ToArray()
            );
        }
        finally
        {
            foreach (var value in values)
                value.Dispose();
        }
    }

    /// <summary>Synthetic rows of one input.</summary>
    private sealed class Made(TensorElementType type, long[] shape, bool isSmall, int seed)
    {
        private readonly int width = (int)shape.Aggregate(1L, (product, dim) => product * dim);

        /// <summary>Returns some of the rows as a tensor; the caller disposes it.</summary>
        /// <param name="start">First row.</param>
        /// <param name="rows">Number of rows.</param>
        public OrtValue ToOrt(int start, int rows)
        {
            long[] dims = [rows, .. shape];
            return type switch
            {
                TensorElementType.Float => Tensor(start, dims, number => (float)number),
                TensorElementType.Double => Tensor(start, dims, number => number),
                TensorElementType.Int64 => Tensor(start, dims, number => (long)Whole(number)),
                TensorElementType.Int32 => Tensor(start, dims, number => (int)Whole(number)),
                TensorElementType.Int16 => Tensor(start, dims, number => (short)Whole(number)),
                TensorElementType.Int8 => Tensor(start, dims, number => (sbyte)Whole(number)),
                TensorElementType.UInt64 => Tensor(start, dims, number => (ulong)Whole(number)),
                TensorElementType.UInt32 => Tensor(start, dims, number => (uint)Whole(number)),
                TensorElementType.UInt16 => Tensor(start, dims, number => (ushort)Whole(number)),
                TensorElementType.UInt8 => Tensor(start, dims, number => (byte)Whole(number)),
                TensorElementType.Bool => Tensor(start, dims, number => number > 0),
                _ => Text(start, dims),
            };
        }

        /// <summary>0 to 3, or 0 and 1: indices and counts that most networks accept.</summary>
        private double Whole(double number) => isSmall ? (number > 0 ? 1 : 0) : Math.Floor(Math.Abs(number * 997) % 4);

        private OrtValue Tensor<T>(int start, long[] dims, Func<double, T> convert)
            where T : unmanaged =>
            OrtValue.CreateTensorValueFromMemory(
                OrtMemoryInfo.DefaultInstance,
                Numbers(start, (int)dims[0]).Select(convert).ToArray().AsMemory(),
                dims
            );

        private OrtValue Text(int start, long[] dims)
        {
            var tensor = OrtValue.CreateTensorWithEmptyStrings(OrtAllocator.DefaultInstance, dims);
            var at = 0;
            foreach (var number in Numbers(start, (int)dims[0]))
                tensor.StringTensorSetElementAt($"{(char)('a' + Whole(number))}", at++);
            return tensor;
        }

        /// <summary>The values of rows, the same for a row alone and in a batch.</summary>
        private IEnumerable<double> Numbers(int start, int rows)
        {
            for (var row = start; row < start + rows; row++)
            {
                var random = new Random((seed * Rows) + row + 1);
                for (var index = 0; index < width; index++)
                    yield return isSmall ? random.NextDouble() - 0.5 : RowScales[row] * ((2 * random.NextDouble()) - 1);
            }
        }
    }
}
