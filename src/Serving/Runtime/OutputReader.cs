using Microsoft.ML.OnnxRuntime;
using TorchBridge.Serving.Protocol;

namespace TorchBridge.Serving.Runtime;

/// <summary>Copies an output out of ONNX Runtime's memory, and splits it into the requests' rows.</summary>
internal static class OutputReader
{
    /// <summary>Reads an output.</summary>
    /// <param name="value">What the run gave.</param>
    /// <param name="spec">What it is.</param>
    /// <param name="rows">Rows of each request; none for one request, which gets all.</param>
    /// <returns>One tensor per request, copied: the run's memory may be freed.</returns>
    /// <exception cref="ModelRunException">The output is no tensor, or does not give one row per row.</exception>
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
                    + "expected is one row of output for each row of input"
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
    /// <param name="value">An output of the whole batch.</param>
    /// <param name="spec">Its name and type.</param>
    /// <param name="shape">Of the part.</param>
    /// <param name="start">Its first element.</param>
    /// <param name="count">Its elements.</param>
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

    /// <summary>Elements of a shape.</summary>
    /// <param name="shape">Without free axes.</param>
    private static long Count(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (var axis in shape)
            count *= axis;
        return count;
    }
}
