using Microsoft.ML.OnnxRuntime;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>Copies an output from ONNX Runtime's memory, and splits it into the rows of each request.</summary>
internal static class OutputReader
{
    /// <summary>Reads an output.</summary>
    /// <param name="value">The output of the run.</param>
    /// <param name="spec">Name and datatype of the output.</param>
    /// <param name="rows">Number of rows of each request; empty for a single request, which gets the whole
    /// output.</param>
    /// <returns>One tensor per request; the data are copied, so the run's memory may be freed.</returns>
    /// <exception cref="ModelRunException">The output is not a tensor, or does not have one row per input
    /// row.</exception>
    public static Tensor[] Split(OrtValue value, TensorSpec spec, long[] rows)
    {
        if (!value.IsTensor)
            throw new ModelRunException($"output '{spec.Name}' is not a tensor in this run");
        var shape = value.GetTensorTypeAndShape().Shape;
        if (rows.Length == 0)
            return [Part(value, spec, shape, 0, Count(shape))];
        if (shape.Length == 0 || shape[0] != rows.Sum())
            throw new ModelRunException(
                $"output '{spec.Name}' has the shape {ShapeRules.Text(shape)} for {rows.Sum()} rows: "
                    + "one row of output is expected for each row of input"
            );
        var stride = Count(shape.AsSpan(1));
        var parts = new Tensor[rows.Length];
        long start = 0;
        for (var index = 0; index < rows.Length; index++)
        {
            parts[index] = Part(value, spec, [rows[index], .. shape[1..]], start * stride, rows[index] * stride);
            start += rows[index];
        }

        return parts;
    }

    /// <summary>Copies some rows of an output.</summary>
    /// <param name="value">The output of the whole batch.</param>
    /// <param name="spec">Name and datatype of the output.</param>
    /// <param name="shape">Shape of the part.</param>
    /// <param name="start">Index of its first element.</param>
    /// <param name="count">Number of its elements.</param>
    private static Tensor Part(OrtValue value, TensorSpec spec, long[] shape, long start, long count)
    {
        if (spec.Type == TensorType.Bytes)
        {
            var strings = new ReadOnlyMemory<byte>[count];
            for (var index = 0; index < strings.Length; index++)
                strings[index] = value.GetStringElementAsSpan((int)start + index).ToArray();
            return Tensor.OfStrings(spec.Name, shape, strings);
        }

        var size = spec.Type.SizeOf();
        var data =
            count == 0 ? [] : value.GetTensorMutableRawData().Slice((int)start * size, (int)count * size).ToArray();
        return new Tensor(spec.Name, spec.Type, shape) { Data = data };
    }

    /// <summary>Number of elements of a shape.</summary>
    /// <param name="shape">A shape without dynamic axes.</param>
    private static long Count(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (var axis in shape)
            count *= axis;
        return count;
    }
}
